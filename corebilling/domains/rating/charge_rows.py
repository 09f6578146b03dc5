"""Charges as rows keep them: what they come to, and all that it was worked out from."""

from collections.abc import Sequence
from typing import Any

from billing.types.v1 import money_pb2
from billing_db import models
from billing_db import rating as rating_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.rating.model import Charge, ChargeKind
from corebilling.domains.rating.records import record_object
from corebilling.mapping import decimal_text, moment_object
from corebilling.values.ids import new_id
from corebilling.values.money import exact_amount
from corebilling.values.period import Period
from corebilling.values.price import Step, StepKind, TierCharge


def tier_object(tier: TierCharge) -> dict[str, str]:
    """As rows keep it: a `billing.types.v1.TierCharge` in JSON."""
    return {
        "from_quantity": decimal_text(tier.from_quantity),
        "up_to": "" if tier.up_to is None else decimal_text(tier.up_to),
        "quantity": decimal_text(exact_amount(tier.quantity)),
        "unit_amount": decimal_text(tier.unit_amount),
        "flat_amount": decimal_text(tier.flat_amount),
        "amount": decimal_text(exact_amount(tier.amount)),
        "units": decimal_text(exact_amount(tier.units)),
        "block_size": "" if tier.block_size is None else decimal_text(tier.block_size),
    }


def step_object(step: Step) -> dict[str, str]:
    """As rows keep it: a `billing.types.v1.ChargeStep` in JSON."""
    return {
        "kind": money_pb2.ChargeStepKind.Name(_STEP_KINDS[step.kind]),
        "amount": decimal_text(exact_amount(step.amount)),
    }


def _basis_object(charge: Charge, total: rating_sql.ListUnbilledUsageRow | None) -> dict[str, Any]:
    """As rows keep it: a `ChargeBasis` in JSON."""
    basis = charge.basis
    kept: dict[str, Any] = {
        "full_period": _period_object(basis.full_period),
        "proration_grain": f"PRORATION_GRAIN_{basis.terms.grain.upper()}",
        "timezone": basis.terms.timezone,
    }
    if basis.due.span != basis.full_period or basis.due.share != 1:
        kept |= {"span": _period_object(basis.due.span), "share": str(basis.due.share)}
    if basis.before is not None:
        kept |= {"span_before": _period_object(basis.before.span), "share_before": str(basis.before.share)}
    if total is not None and charge.kind in (ChargeKind.USAGE, ChargeKind.ADJUSTMENT):
        kept |= {
            "quantity_before": decimal_text(total.billed_quantity),
            "record_count": total.record_count,
        }
        if total.first_recorded_at is not None and total.last_recorded_at is not None:
            kept["first_recorded_at"] = moment_object(total.first_recorded_at)
            kept["last_recorded_at"] = moment_object(total.last_recorded_at)
    if basis.together is not None and basis.together_before is not None:
        kept |= {
            "priced_quantity": decimal_text(basis.together.quantity),
            "priced_share": str(basis.together.share),
        }
        if basis.together_before.parts:
            kept |= {
                "priced_quantity_before": decimal_text(basis.together_before.quantity),
                "priced_share_before": str(basis.together_before.share),
            }
    return kept


def _period_object(period: Period) -> dict[str, Any]:
    return {"start": moment_object(period.start), "end": moment_object(period.end)}


_STEP_KINDS = {
    StepKind.CAP: money_pb2.CHARGE_STEP_KIND_CAP,
    StepKind.MINIMUM: money_pb2.CHARGE_STEP_KIND_MINIMUM,
    StepKind.BILLED: money_pb2.CHARGE_STEP_KIND_BILLED,
}


def row_of(
    tx: Transaction, cycle_id: str, charge: Charge, total: rating_sql.ListUnbilledUsageRow | None
) -> models.Charge:
    return models.Charge(
        tenant_id=tx.tenant_id,
        id=new_id("chg"),
        cycle_id=cycle_id,
        subscription_item_id=charge.item_id,
        kind=charge.kind,
        price_id=charge.price.id,
        price_override_id=charge.price.override_id or None,
        description=charge.description,
        period_start=charge.period.start,
        period_end=charge.period.end,
        quantity=charge.quantity,
        unit_amount=charge.price.unit_amount,
        unit_size=charge.price.unit_size,
        currency=charge.price.currency,
        amount=charge.amount,
        amount_before=charge.amount_before,
        tiers=[tier_object(tier) for tier in charge.tiers],
        steps=[step_object(step) for step in charge.steps],
        by_record=None if charge.records is None else record_object(charge.price, charge.records),
        basis=_basis_object(charge, total),
        created_at=tx.now,
    )


async def insert(tx: Transaction, rows: Sequence[models.Charge]) -> None:
    await rating_sql.insert_charges(
        tx,
        tenant_id=tx.tenant_id,
        created_at=tx.now,
        ids=[row.id for row in rows],
        cycle_ids=[row.cycle_id for row in rows],
        subscription_item_ids=[row.subscription_item_id for row in rows],
        kinds=[row.kind for row in rows],
        price_ids=[row.price_id for row in rows],
        price_override_ids=[row.price_override_id or "" for row in rows],
        descriptions=[row.description for row in rows],
        period_starts=[row.period_start for row in rows],
        period_ends=[row.period_end for row in rows],
        quantities=[row.quantity for row in rows],
        unit_amounts=["" if row.unit_amount is None else decimal_text(row.unit_amount) for row in rows],
        unit_sizes=[row.unit_size for row in rows],
        currencies=[row.currency for row in rows],
        amounts=[row.amount for row in rows],
        amounts_before=[row.amount_before for row in rows],
        tiers=[row.tiers for row in rows],
        steps=[row.steps for row in rows],
        by_record=[row.by_record for row in rows],
        basis=[row.basis for row in rows],
    )
