"""Rows of the catalog: found, and shown."""

from billing.catalog.v1 import catalog_pb2 as pb
from billing_db import catalog as catalog_sql
from billing_db.models import Meter, Plan, Price, Product

from corebilling.db.transaction import Transaction
from corebilling.errors import NotFound
from corebilling.mapping import to_message


async def find_product(tx: Transaction, product_id: str) -> Product:
    """Raises NotFound (PRODUCT_NOT_FOUND)."""
    product = await catalog_sql.find_product(tx, tenant_id=tx.tenant_id, id=product_id)
    if product is None:
        raise NotFound("PRODUCT_NOT_FOUND", "There is no such product.", {"product_id": product_id})
    return product


async def find_meter(tx: Transaction, meter_id: str) -> Meter:
    """Raises NotFound (METER_NOT_FOUND)."""
    meter = await catalog_sql.find_meter(tx, tenant_id=tx.tenant_id, id=meter_id)
    if meter is None:
        raise NotFound("METER_NOT_FOUND", "There is no such meter.", {"meter_id": meter_id})
    return meter


async def find_price(tx: Transaction, price_id: str) -> Price:
    """Raises NotFound (PRICE_NOT_FOUND)."""
    price = await catalog_sql.find_price(tx, tenant_id=tx.tenant_id, id=price_id)
    if price is None:
        raise NotFound("PRICE_NOT_FOUND", "There is no such price.", {"price_id": price_id})
    return price


async def find_plan(tx: Transaction, plan_id: str) -> Plan:
    """Raises NotFound (PLAN_NOT_FOUND)."""
    plan = await catalog_sql.find_plan(tx, tenant_id=tx.tenant_id, id=plan_id)
    if plan is None:
        raise _plan_not_found(plan_id)
    return plan


async def find_visible_plan(tx: Transaction, plan_id: str) -> Plan:
    """One that the caller may see.

    Raises:
        NotFound: PLAN_NOT_FOUND.
    """
    if tx.caller.account is None:
        return await find_plan(tx, plan_id)
    plans = await catalog_sql.list_plans_of_account(
        tx,
        tenant_id=tx.tenant_id,
        id=plan_id,
        code="",
        after="",
        account=tx.caller.account,
        limit_rows=1,
    )
    if not plans:
        raise _plan_not_found(plan_id)
    return plans[0]


def _plan_not_found(plan_id: str) -> NotFound:
    return NotFound("PLAN_NOT_FOUND", "There is no such plan.", {"plan_id": plan_id})


def price_message(price: Price) -> pb.Price:
    """The price with all its terms."""
    options = (
        pb.CurrencyOption(**{name: value for name, value in option.items() if name != "max_quantity"})
        for option in price.currency_options
    )
    return to_message(price, pb.Price, currency_options=options)
