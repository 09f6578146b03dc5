"""Whose quotas and features they are: plans, customers, subscriptions and meters of the tenant's own."""

from billing_db import catalog as catalog_sql
from billing_db import subscription as subscription_sql
from billing_db.models import Meter

from corebilling.db.transaction import Transaction
from corebilling.domains.customer.rows import find_present_customer
from corebilling.domains.quota.model import Scope
from corebilling.errors import NotFound


async def check_subject(tx: Transaction, scope: Scope, subject_id: str) -> None:
    """Raises NotFound (PLAN_, CUSTOMER_ or SUBSCRIPTION_NOT_FOUND), FailedPrecondition (CUSTOMER_ERASED)."""
    match scope:
        case Scope.TENANT:
            found: object = tx.tenant_id
        case Scope.PLAN:
            found = await catalog_sql.find_plan(tx, tenant_id=tx.tenant_id, id=subject_id)
        case Scope.CUSTOMER:
            found = await find_present_customer(tx, subject_id)
        case Scope.SUBSCRIPTION:
            found = await subscription_sql.find_subscription(tx, tenant_id=tx.tenant_id, id=subject_id)
    if found is None:
        raise NotFound(
            f"{scope.upper()}_NOT_FOUND", f"There is no such {scope}.", {f"{scope}_id": subject_id}
        )


async def check_meter(tx: Transaction, meter_code: str) -> Meter:
    """Raises NotFound: METER_NOT_FOUND."""
    meters = await catalog_sql.list_meters(
        tx, tenant_id=tx.tenant_id, code=meter_code, after="", limit_rows=1
    )
    if not meters:
        raise NotFound("METER_NOT_FOUND", "There is no such meter.", {"meter_code": meter_code})
    return meters[0]
