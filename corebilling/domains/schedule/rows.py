"""Rows of billing cycles, found."""

from billing_db import schedule as schedule_sql
from billing_db.models import BillingCycle

from corebilling.db.transaction import Transaction
from corebilling.errors import NotFound


async def find_cycle(tx: Transaction, cycle_id: str) -> BillingCycle:
    """Raises NotFound (BILLING_CYCLE_NOT_FOUND)."""
    cycle = await schedule_sql.find_billing_cycle(tx, tenant_id=tx.tenant_id, id=cycle_id)
    if cycle is None:
        raise NotFound("BILLING_CYCLE_NOT_FOUND", "There is no such billing cycle.", {"cycle_id": cycle_id})
    return cycle
