"""Rows of customers, found."""

from billing_db import customer as customer_sql
from billing_db.models import Customer

from corebilling.db.transaction import Transaction
from corebilling.errors import NotFound


async def find_customer(tx: Transaction, customer_id: str) -> Customer:
    """Raises NotFound (CUSTOMER_NOT_FOUND)."""
    customer = await customer_sql.find_customer(tx, tenant_id=tx.tenant_id, id=customer_id)
    if customer is None:
        raise NotFound("CUSTOMER_NOT_FOUND", "There is no such customer.", {"customer_id": customer_id})
    return customer
