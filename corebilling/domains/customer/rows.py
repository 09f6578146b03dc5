"""Rows of customers, found."""

from billing_db import customer as customer_sql
from billing_db.models import Customer

from corebilling.db.transaction import Transaction
from corebilling.errors import FailedPrecondition, NotFound


async def find_customer(tx: Transaction, customer_id: str) -> Customer:
    """Raises NotFound (CUSTOMER_NOT_FOUND)."""
    customer = await customer_sql.find_customer(tx, tenant_id=tx.tenant_id, id=customer_id)
    if customer is None:
        raise NotFound("CUSTOMER_NOT_FOUND", "There is no such customer.", {"customer_id": customer_id})
    return customer


async def find_present_customer(tx: Transaction, customer_id: str) -> Customer:
    """One that something can be made for.

    Raises:
        NotFound: CUSTOMER_NOT_FOUND.
        FailedPrecondition: CUSTOMER_ERASED.
    """
    customer = await find_customer(tx, customer_id)
    if customer.erased_at is not None:
        raise FailedPrecondition(
            "CUSTOMER_ERASED", "The customer was erased; create a new one.", {"customer_id": customer_id}
        )
    return customer
