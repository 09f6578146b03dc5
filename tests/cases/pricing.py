"""Prices, quantities and rating again, as cases name them."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from corebilling.domains.usage.form import microseconds
from corebilling.domains.usage.placement import UsageWindow
from corebilling.values import aggregation, time_weighted
from corebilling.values.currency import EXPONENTS
from corebilling.values.money import round_number
from corebilling.values.period import Period, time_zone
from corebilling.values.price import (
    Price,
    PriceModel,
    Rated,
    StepKind,
    Tier,
    rate,
    rate_more,
    rate_tiers,
    settle,
    tier_amount,
)
from corebilling.values.price_matrix import CapacityTier, reached_capacity
from corebilling.values.price_percentage import Percentage, rate_transactions
from corebilling.values.rerate import InvoicedPeriod, Run, late_lines, reach_back, rerate, rerate_by_period
from tests.cases.case import Case, rounding_named

Row = Mapping[str, Any]
Result = Mapping[str, Any]


def decimal(row: Row, *names: str) -> Decimal | None:
    """The first of these fields that the row has."""
    return next((Decimal(str(row[name])) for name in names if row.get(name) is not None), None)


def instant(text: str) -> datetime:
    """An instant; a day starts at midnight, UTC."""
    return (
        datetime.fromisoformat(text).replace(tzinfo=UTC) if len(text) == 10 else datetime.fromisoformat(text)
    )


def day(text: str, policy: Row) -> date:
    """The calendar day of an instant, or the day itself."""
    zone = time_zone(policy.get("timezone", "UTC"))
    return (
        date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text).astimezone(zone).date()
    )


def rounding(case: Case) -> Callable[[Fraction], Fraction]:
    """To the currency's minor units, as the case's policy has it."""
    mode = case.policy.get("rounding", "half_up")
    if mode == "none":
        return Fraction
    scale = 10 ** EXPONENTS[currency(case)]
    return lambda amount: Fraction(round_number(amount * scale, rounding_named(mode)), scale)


def currency(case: Case) -> str:
    """Where none is named, any with cents does."""
    return str(case.given.get("currency", "USD"))


def tier(row: Row) -> Tier:
    return Tier(
        up_to=decimal(row, "up_to"),
        unit_amount=decimal(row, "unit_amount", "rate_percent") or Decimal(0),
        flat_amount=decimal(row, "flat_amount") or Decimal(0),
        maximum_amount=decimal(row, "cap_amount"),
    )


def block_tiers(rows: Iterable[Row]) -> tuple[Tier, ...]:
    """Tiers of blocks end where all their blocks are full."""
    tiers: list[Tier] = []
    end = Decimal(0)
    for row in rows:
        size, most = Decimal(row["block_size"]), decimal(row, "max_blocks")
        end += size * (most or 0)
        up_to = None if most is None else end
        tiers.append(Tier(up_to, Decimal(row["block_amount"]), block_size=size))
    return tuple(tiers)


MODELS = {
    "flat": PriceModel.FLAT,
    "per_unit": PriceModel.PER_UNIT,
    "multiplier": PriceModel.PER_UNIT,
    "graduated": PriceModel.GRADUATED,
    "graduated_percentage": PriceModel.GRADUATED,
    "graduated_blocks": PriceModel.GRADUATED,
    "volume": PriceModel.VOLUME,
    "volume_percentage": PriceModel.VOLUME,
    "volume_blocks": PriceModel.VOLUME,
    "package": PriceModel.PACKAGE,
}


def price(row: Row, case: Case) -> Price:
    name = row["model"]
    package = row.get("package", {})
    tiers = row.get("tiers", ())
    return Price(
        id="pri_1",
        description="",
        currency=currency(case),
        model=MODELS[name],
        metered=True,
        unit_amount=decimal(row | package, "unit_amount", "multiplier", "package_amount", "flat_amount"),
        unit_size=Decimal(100)
        if name.endswith("percentage")
        else decimal(row | package, "package_size") or Decimal(1),
        tiers=block_tiers(tiers) if name.endswith("blocks") else tuple(map(tier, tiers)),
        included_quantity=decimal(row | package, "included_quantity", "free_units", "discount_quantity")
        or Decimal(0),
        maximum_amount=decimal(row, "maximum_amount"),
        minimum_amount=decimal(row, "minimum_amount"),
        discount_percent=decimal(row, "discount_percent") or Decimal(0),
        zero_usage_flat_fee=case.policy.get("bill_zero_usage_flat_fee", True),
    )


def rate_given(row: Row, case: Case) -> Rated:
    terms, quantity = price(row, case), Decimal(row["quantity"])
    before, billed = decimal(row, "already_billed_quantity"), decimal(row, "already_billed_amount")
    final = row.get("is_final_split", True)
    if before is not None:
        return rate_more(terms, before, quantity, billed=billed, final=final)
    used = rate_tiers(terms, Fraction(quantity), fraction(row, "tier_selection_quantity"))
    return settle(terms, used, billed=Fraction(billed or 0), final=final)


def fraction(row: Row, name: str) -> Fraction | None:
    value = decimal(row, name)
    return None if value is None else Fraction(value)


def rate_one(case: Case) -> Result:
    result = rate_given(case.given, case)
    return {
        "usage_amount": sum(tier.amount for tier in result.tiers),
        "percent_discount_amount": -result.step(StepKind.PERCENT_DISCOUNT),
        "cap_discount_amount": -result.step(StepKind.CAP),
        "true_up_amount": result.step(StepKind.MINIMUM),
        "packages": sum(one.units for one in result.tiers),
        "total_amount": rounding(case)(result.amount),
    }


def rate_multi(case: Case) -> Result:
    owed = rounding(case)
    amounts = [owed(rate_given(component, case).amount) for component in case.given["components"]]
    return {"component_amounts": amounts, "total_amount": sum(amounts)}


def rate_capacity(case: Case) -> Result:
    tiers = [
        CapacityTier(
            {unit: decimal(row["limits"], unit) for unit in row["limits"]}, Decimal(row["tier_amount"])
        )
        for row in case.given["tiers"]
    ]
    reached = reached_capacity(tiers, {unit: Decimal(used) for unit, used in case.given["usage"].items()})
    return {"tier_index": reached + 1, "total_amount": rounding(case)(Fraction(tiers[reached].amount))}


def rate_percentage(case: Case) -> Result:
    row = case.given["percentage"]
    terms = Percentage(
        percent=Decimal(row["rate_percent"]),
        fixed_amount=decimal(row, "fixed_amount") or Decimal(0),
        free_transactions=row.get("free_events"),
        free_value=decimal(row, "free_total_quantity"),
        minimum_amount=limit_per_event(row, "min", "floor"),
        maximum_amount=limit_per_event(row, "max", "ceil"),
    )
    result = rate_transactions(terms, map(Decimal, case.given["event_values"]))
    return {
        "free_quantity": result.free_value,
        "free_events": result.free_transactions,
        "paid_quantity": result.paid_value,
        "paid_events": result.paid_transactions,
        "total_amount": rounding(case)(result.amount),
    }


def limit_per_event(row: Row, *words: str) -> Decimal | None:
    return decimal(row, *(name for name in row if any(word in name for word in words)))


def plan_charge(case: Case) -> Result:
    given, owed = case.given, rounding(case)
    seats = Decimal(given["seats"])
    once = case.policy.get("seat_base", "base_once") == "base_once"
    model = PriceModel.FLAT if once else PriceModel.PER_UNIT
    base = Price("pri_base", "", currency(case), model, False, decimal(given, "base_amount") or Decimal(0))
    included = decimal(given, "included_seats") or Decimal(0)
    amount = decimal(given, "extra_seat_amount") or Decimal(0)
    extra = Price(
        "pri_seat", "", currency(case), PriceModel.PER_UNIT, False, amount, included_quantity=included
    )
    rated_base, rated_extra = rate(base, seats), rate(extra, seats)
    amounts = owed(rated_base.amount), owed(rated_extra.amount)
    return {
        "base_charge_amount": amounts[0],
        "extra_seats": sum(tier.quantity for tier in rated_extra.tiers if tier.from_quantity >= included),
        "extra_seats_amount": amounts[1],
        "total_amount": sum(amounts),
    }


def package_units(case: Case) -> Result:
    package = Tier(None, Decimal(0), block_size=Decimal(case.given["package_size"]))
    units, _ = tier_amount(package, Fraction(case.given["quantity"]), unit_size=Decimal(1))
    return {"billing_units": units}


def quantity_rounding(case: Case) -> Callable[[Fraction], Fraction]:
    terms = case.policy.get("quantity_rounding", {"mode": "none", "scale": 0})
    mode = aggregation.QuantityRounding(ROUNDINGS[terms["mode"]])
    return lambda quantity: aggregation.round_quantity(quantity, mode, terms["scale"])


ROUNDINGS = {None: "none", "round": "half_up", "ceiling": "ceil", "up": "ceil", "down": "floor"} | {
    mode.value: mode.value for mode in aggregation.QuantityRounding
}


def round_quantity(case: Case) -> Result:
    mode = aggregation.QuantityRounding(ROUNDINGS[case.given.get("function")])
    quantity, decimals = Decimal(case.given["quantity"]), case.given.get("precision") or 0
    return {"quantity": aggregation.round_quantity(quantity, mode, decimals)}


AGGREGATIONS = {
    "unique_count": "unique",
    "count_unique": "unique",
    "count_distinct": "unique",
    "avg": "average",
    "mean": "average",
    "last": "latest",
}
BY_VALUE = frozenset(aggregation.Aggregation) - {
    aggregation.Aggregation.UNIQUE,
    aggregation.Aggregation.COUNT,
}
"""What needs numbers; members may be anything, and records are counted whatever they hold."""


def aggregate(case: Case) -> Result:
    given = case.given
    function = aggregation.Aggregation(AGGREGATIONS.get(given["function"], given["function"]))
    records = [
        aggregation.Record(
            at=instant(row["timestamp"]),
            value=(decimal(row, "value", "quantity") if function in BY_VALUE else None) or Decimal(0),
            key=row.get("idempotency_key") or "",
            sequence=place,
            member=str(row.get("member", row.get("value", ""))),
            properties=row.get("properties"),
        )
        for place, row in enumerate(given["events"])
    ]
    counted = aggregation.counted_records(records, period(given) if "period" in given else None)
    totals = aggregation.totals_of(counted, unique=function is aggregation.Aggregation.UNIQUE)
    quantity = quantity_rounding(case)(aggregation.quantity_of(function, totals))
    return {"quantity": quantity, "counted_events": len(counted)}


def period(given: Row) -> Period:
    return Period(instant(given["period"]["start"]), instant(given["period"]["end"]))


def opening(given: Row) -> Decimal:
    names = ("carried_in_quantity", "carried_in_level", "opening_level", "initial_level", "carried_in")
    return decimal(given, *names) or Decimal(0)


def weighted_sum(case: Case) -> Result:
    changes = [
        time_weighted.Change(instant(row["timestamp"]), Decimal(row["delta"])) for row in case.given["events"]
    ]
    held = time_weighted.weighted_sum(opening(case.given), changes, period(case.given))
    return {"quantity": quantity_rounding(case)(held.quantity), "closing_level": held.closing_level}


def time_weighted_average(case: Case) -> Result:
    segments = [(Decimal(row["level"]), Decimal(str(row["hours"]))) for row in case.given["segments"]]
    quantity = time_weighted.average_level(segments, Decimal(str(case.given["period_hours"])))
    return {"quantity": quantity_rounding(case)(quantity)}


def days(case: Case) -> time_weighted.Days:
    bounds = case.given["period"]
    return time_weighted.Days(day(bounds["start"], case.policy), day(bounds["end"], case.policy))


def prorated_sum(case: Case) -> Result:
    changes = [(day(row["timestamp"], case.policy), Decimal(row["quantity"])) for row in case.given["events"]]
    held = time_weighted.prorated_sum(opening(case.given), changes, days(case))
    return {
        "quantity": quantity_rounding(case)(held.quantity),
        "full_quantity": held.full_quantity,
        "counted_events": held.counted,
    }


def prorated_unique_count(case: Case) -> Result:
    stays = [
        time_weighted.Stay(
            member=str(row.get("id", row.get("member", place))),
            first=day(row["added_on"], case.policy),
            last=day(row["removed_on"], case.policy) if row.get("removed_on") else None,
        )
        for place, row in enumerate(case.given["members"])
    ]
    return {"quantity": quantity_rounding(case)(time_weighted.prorated_unique_count(stays, days(case)))}


def unit_conversion(case: Case) -> Result:
    parts = [(Decimal(row["count"]), Decimal(row.get("each", 1))) for row in case.given["parts"]]
    return {"quantity": aggregation.convert(parts, decimal(case.given, "divide_by") or Decimal(1))}


def rerate_runs(case: Case) -> Result:
    quantities = [Decimal(row["cumulative_quantity"]) for row in case.given["runs"]]
    runs = rerate(price(case.given["price"], case), quantities, rounding(case))
    return {"runs": [run_result(run) for run in runs]}


def run_result(run: Run) -> Result:
    lines = [{"quantity": line.quantity, "unit_amount": line.unit_amount} for line in run.lines]
    return {"total_amount": run.total_amount, "lines": lines}


def rerate_periods(case: Case) -> Result:
    names = [row["id"] for row in case.given["periods"]]
    snapshots = [list(map(Decimal, row["cumulative_by_period"])) for row in case.given["snapshots"]]
    runs = rerate_by_period(price(case.given["price"], case), snapshots, rounding(case))
    return {
        "runs": [
            {
                "amount_by_period": {
                    name: amount for name, amount in zip(names, run, strict=False) if amount
                },
                "total_amount": sum(run),
            }
            for run in runs
        ]
    }


def late_usage_invoice(case: Case) -> Result:
    given = case.given
    periods = [
        InvoicedPeriod(
            date.fromisoformat(row["start"]),
            date.fromisoformat(row["end"]),
            Fraction(row.get("already_invoiced_amount", "0")),
        )
        for row in given["periods"]
    ]
    usage = [(day(row["usage_date"], case.policy), Decimal(row["quantity"])) for row in given["events"]]
    earliest = date.min
    if "lookback_periods" in case.policy:
        through = day(given["last_invoiced_through"], case.policy)
        earliest = reach_back(through, case.policy["lookback_periods"])
    lines = late_lines(price(given["price"], case), periods, usage, earliest, rounding(case))
    return {
        "items": [
            {"start": line.period.start, "end": line.period.end, "line_amount": line.amount} for line in lines
        ],
        "total_amount": sum(line.amount for line in lines),
    }


def event_acceptance(case: Case) -> Result:
    window = case.policy.get("event_window", {})
    back = timedelta(days=window.get("past_days", 35))
    ahead = timedelta(minutes=window.get("future_minutes", 5))
    accepted = UsageWindow.around(instant(case.given["received_at"]), back=back, ahead=ahead)
    return {
        "decisions": {
            row["id"]: "accepted" if microseconds(instant(row["timestamp"])) in accepted else "rejected"
            for row in case.given["events"]
        }
    }


OPERATIONS: dict[str, Callable[[Case], Result]] = {
    "rate": rate_one,
    "rate_multi": rate_multi,
    "rate_capacity": rate_capacity,
    "rate_percentage": rate_percentage,
    "plan_charge": plan_charge,
    "package_units": package_units,
    "weighted_sum": weighted_sum,
    "time_weighted_average": time_weighted_average,
    "prorated_sum": prorated_sum,
    "prorated_unique_count": prorated_unique_count,
    "aggregate": aggregate,
    "round_quantity": round_quantity,
    "unit_conversion": unit_conversion,
    "rerate": rerate_runs,
    "rerate_by_period": rerate_periods,
    "late_usage_invoice": late_usage_invoice,
    "event_acceptance": event_acceptance,
}
