"""Cases of time and of shares: periods, proration, changes, trials, commitments."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from corebilling.values.commitment import Committed, due_minor, true_up_minor
from corebilling.values.in_advance import (
    ChangeLine,
    Direction,
    component_share,
    cycles_started,
    fee_after_trial,
    price_change,
    price_phases,
    switch_prepaid,
    upgrade_credit,
)
from corebilling.values.money import major_units, round_number
from corebilling.values.period import (
    BillingCalendar,
    IntervalUnit,
    Period,
    calendar_month,
    local_date,
    midnight,
    next_midnight,
    runs_that_bill,
    trial_end,
)
from corebilling.values.proration import Grain, Proration
from tests.cases.case import Case, rounding_named

INTERVALS: Mapping[str, tuple[IntervalUnit, int]] = {
    "day": ("day", 1),
    "week": ("week", 1),
    "month": ("month", 1),
    "quarter": ("month", 3),
    "half_year": ("month", 6),
    "year": ("year", 1),
}


NOMINAL_DAYS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "half_year": 182, "year": 365}


def timezone(case: Case) -> str:
    return str(case.policy.get("timezone", "UTC"))


def is_day(text: str) -> bool:
    return "T" not in text


def instant(text: str, case: Case) -> datetime:
    """A time as it is; of a day the midnight that begins it where the customer is."""
    return (
        midnight(date.fromisoformat(text), timezone(case)) if is_day(text) else datetime.fromisoformat(text)
    )


def period(case: Case, name: str) -> Period:
    start, end = (instant(case.given[name][side], case) for side in ("start", "end"))
    return Period(start, next_midnight(end, timezone(case)) if inclusive(case) else end)


def inclusive(case: Case) -> bool:
    return case.policy.get("day_count") == "inclusive"


def terms(case: Case) -> Proration:
    days = str(case.policy.get("period_days", "actual"))
    return Proration(
        grain=Grain(case.policy.get("proration_grain", "second")),
        timezone=timezone(case),
        fixed_days=int(days.removeprefix("fixed_")) if days.startswith("fixed_") else None,
        factor_scale=case.policy.get("factor_scale"),
        rounding=rounding_named(case.policy.get("rounding", "half_up")),
        capped=case.policy.get("factor_cap") == "one",
    )


def calendar(case: Case, anchor: str, **rest: Any) -> BillingCalendar:
    unit, count = INTERVALS[case.given.get("interval", "month")]
    anchor_at = instant(anchor, case)
    return BillingCalendar(
        anchor_at=anchor_at,
        interval_unit=unit,
        interval_count=count * case.given.get("interval_count", 1),
        timezone=timezone(case),
        start_at=anchor_at,
        billing_day=case.given.get("billing_day"),
        **rest,
    )


def prorate(case: Case) -> Mapping[str, Any]:
    given, rules = case.given, terms(case)
    share = rules.share(period(case, "service_period"), period(case, "full_period"))
    result: dict[str, Any] = {
        "service_units": share.units,
        "period_units": share.of,
        "factor": share.factor,
    }
    if "full_amount" in given:
        minor = rules.minor(Fraction(given["full_amount"]) * share.factor, given["currency"])
    elif "full_amount_minor" in given:
        full = major_units(given["full_amount_minor"], given["currency"])
        minor = rules.minor(Fraction(full) * share.factor, given["currency"])
    else:
        return result
    return result | {
        "prorated_amount": major_units(minor, given["currency"]),
        "prorated_amount_minor": minor,
    }


def change_proration(case: Case) -> Mapping[str, Any]:
    given = case.given
    lines = [
        ChangeLine(
            direction=Direction(line["direction"]),
            price=Decimal(line["price_amount"]),
            quantity=Decimal(line.get("quantity", 1)),
            one_time=line.get("kind") == "one_time",
        )
        for line in given["lines"]
    ]
    change_at = instant(given["change_at"], case)
    change = price_change(lines, change_at, period(case, "period"), given["currency"], terms(case))

    def major(minor: int) -> Decimal:
        return major_units(minor, given["currency"])

    return {
        "line_amounts": [major(line.amount_minor) for line in change.lines],
        "credit_amount": major(change.credit_minor),
        "charge_amount": major(change.charge_minor),
        "net_amount": major(change.net_minor),
    }


def prorate_component(case: Case) -> Mapping[str, Any]:
    given, rules, whole = case.given, terms(case), period(case, "period")
    share = component_share(
        Period(instant(given["change_at"], case), whole.end),
        whole,
        rules,
        nominal_days=(NOMINAL_DAYS | case.policy.get("nominal_days", {}))[given["component_interval"]],
        tolerance=Fraction(case.policy.get("mismatch_tolerance_percent", "25")) / 100,
    )
    amount = Fraction(given["price_amount"]) * share.factor
    minor = rules.minor(amount, given["currency"])
    return {
        "service_units": share.units,
        "period_units": share.of,
        "factor": share.factor,
        "prorated_amount": major_units(minor, given["currency"]),
        "prorated_amount_minor": minor,
    }


def in_advance_switch(case: Case) -> Mapping[str, Any]:
    rules = terms(case)
    rest = rules.share(period(case, "service_period"), period(case, "full_period"))
    switch = switch_prepaid(
        case.given["old_price_minor"], case.given["new_price_minor"], rest, rules.rounding
    )
    return {
        "new_charge_minor": switch.charge_minor,
        "prepaid_credit_minor": switch.credit_minor,
        "net_charge_minor": switch.net_minor,
    }


def upgrade(case: Case) -> Mapping[str, Any]:
    given, policy, rules = case.given, case.policy, terms(case)
    unused = rules.share(period(case, "unused_old_period"), period(case, "old_full_period"))
    served = rules.share(period(case, "new_service_period"), period(case, "new_full_period"))
    taxed = policy.get("credit_includes_tax", False)
    credit = upgrade_credit(
        given["old_plan_minor"],
        unused,
        rules.rounding,
        invoiced_minor=given.get("invoiced_old_fee_minor") if policy.get("credit_cap") else None,
        tax_rate=Fraction(given.get("tax_percent", "0")) / 100 if taxed else Fraction(0),
    )
    switch = switch_prepaid(0, given["new_plan_minor"], served, rules.rounding)
    return {"credit_minor": credit, "new_fee_minor": switch.charge_minor}


def count_billing_cycles(case: Case) -> Mapping[str, Any]:
    given = case.given
    ended = given.get("end_date")
    running = calendar(case, given["start_date"], ended_at=instant(ended, case) if ended else None)
    rules = replace(terms(case), grain=Grain.DAY)
    return {"cycles": cycles_started(running, instant(given["target_date"], case), rules)}


def generate_periods(case: Case) -> Mapping[str, Any]:
    name = next(name for name in ("anchor_date", "anchor_at", "start_date") if name in case.given)
    anchored = calendar(case, case.given[name])
    first = anchored.index(anchored.billed_from)
    served = [anchored.served(first + n) for n in range(case.given["count"])]
    periods = [period for period in served if period is not None]
    return {
        "period_starts": [shown(case, period.start, case.given[name]) for period in periods],
        "period_ends": [shown(case, period.end, case.given[name]) for period in periods],
    }


def shown(case: Case, at: datetime, like: str) -> date:
    """A time as a case states the like of it: by the day, or exactly."""
    return local_date(at, timezone(case)) if is_day(like) else at


def first_billing_date(case: Case) -> Mapping[str, Any]:
    running = calendar(case, case.given["start_date"])
    n = running.index(running.billed_from)
    # A billing that begins on a boundary has its first date there; else the first period is a part.
    first = running.boundary(n if running.boundary(n) == running.billed_from else n + 1)
    return {"first_billing_date": shown(case, first, case.given["start_date"])}


def period_containing(case: Case) -> Mapping[str, Any]:
    given = case.given
    anchor = next(given[name] for name in ("start_date", "anchor_date", "anchor_at") if name in given)
    running, at = calendar(case, anchor), instant(given["at"], case)
    held = running.segment(at)
    # Before an anchor there are periods too; before a start there are none.
    found = held.period if held is not None else running.containing(at)
    return {
        "period_start": shown(case, found.start, anchor),
        "period_end": shown(case, found.end, anchor),
        "elapsed_periods": running.index(at) - running.index(running.billed_from),
    }


def local_bounds(case: Case) -> Mapping[str, Any]:
    first, end = (date.fromisoformat(case.given[name]) for name in ("local_start_date", "local_end_date"))
    bounds = Period.of_days(first, end, timezone(case))
    return {
        "start_utc": bounds.start,
        "end_utc": bounds.end,
        "duration_seconds": bounds.seconds,
        "local_days": bounds.days(timezone(case)),
    }


def date_of(case: Case) -> Mapping[str, Any]:
    return {"local_date": local_date(datetime.fromisoformat(case.given["timestamp"]), timezone(case))}


def assign_events(case: Case) -> Mapping[str, Any]:
    quantities: Counter[str] = Counter()
    for event in case.given["events"]:
        month = calendar_month(datetime.fromisoformat(event["timestamp"]), timezone(case))
        name = f"{local_date(month.start, timezone(case)):%Y-%m}"
        quantities[name] += Fraction(event.get("quantity", 1))  # type: ignore[assignment]
    return {"quantity_by_month": dict(quantities)}


def billing_runs(case: Case) -> Mapping[str, Any]:
    runs = [datetime.fromisoformat(run) for run in case.given["run_times"]]
    billed = runs_that_bill(date.fromisoformat(case.given["billing_date"]), runs, timezone(case))
    return {"invoices_created": [int(bills) for bills in billed]}


def trial_fee(case: Case) -> Mapping[str, Any]:
    given = case.given
    ended = trial_end(instant(given["subscription_start"], case), given["trial_days"])
    share, fee = fee_after_trial(given["plan_amount_minor"], ended, terms(case))
    return {
        "trial_end": ended,
        "billed_days": share.units,
        "period_days": share.of,
        "first_fee_minor": fee,
    }


def trial_phase(case: Case) -> Mapping[str, Any]:
    given = case.given
    start = instant(given["start_date"], case)
    ended = trial_end(start, given["trial_days"])
    running = replace(calendar(case, given["start_date"], trial_end_at=ended), anchor_at=ended)
    trial, *paid = price_phases(running, Decimal(given["price_amount"]), given["count"])
    return {
        "trial_amount": trial.amount,
        "first_paid_date": shown(case, trial.period.end, given["start_date"]),
        "periods": [
            {
                "start": shown(case, phase.period.start, given["start_date"]),
                "end": shown(case, phase.period.end, given["start_date"]),
                "price_amount": phase.amount,
            }
            for phase in paid
        ],
    }


def true_up(case: Case) -> Mapping[str, Any]:
    given, rules = case.given, terms(case)
    active = rules.share(period(case, "active_period"), period(case, "full_period"))
    committed = [Committed(given["commitment_minor"], period(case, "full_period"))]
    commitment_minor = due_minor(committed, lambda _: active.factor, rules.rounding)
    fee_minor = round_number(given["fee_minor"] * active.factor, rules.rounding)
    lines_minor = fee_minor + sum(given.get("other_fees_minor", ()))
    return {
        "prorated_commitment_minor": commitment_minor,
        "prorated_fee_minor": fee_minor,
        "true_up_minor": true_up_minor(commitment_minor, lines_minor),
    }


OPERATIONS: dict[str, Callable[[Case], Mapping[str, Any]]] = {
    "assign_events": assign_events,
    "billing_runs": billing_runs,
    "change_proration": change_proration,
    "commitment_true_up": true_up,
    "count_billing_cycles": count_billing_cycles,
    "first_billing_date": first_billing_date,
    "generate_periods": generate_periods,
    "in_advance_switch": in_advance_switch,
    "local_bounds": local_bounds,
    "local_date": date_of,
    "period_containing": period_containing,
    "prorate": prorate,
    "prorate_component": prorate_component,
    "trial_fee": trial_fee,
    "trial_phase": trial_phase,
    "upgrade_credit": upgrade,
}
