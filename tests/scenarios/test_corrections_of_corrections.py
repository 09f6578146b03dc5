"""Usage and prices that are corrected one after the other, discounted and paid by credits before tax."""

import pytest
from billing.subscription.v1 import subscription_pb2

from tests.rpc.test_rerating import START
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import metered_price, new_meter, new_product, subscribe
from tests.support.correction import rerate, retract
from tests.support.invoice import invoices_of
from tests.support.money import coupon, credit, customer_in, redeem, tax_rate
from tests.support.platform import Platform
from tests.support.reporting import use

A_MONTH = {"days": 31, "hours": 2}


async def priced_at_one(platform: Platform) -> tuple[subscription_pb2.Subscription, dict[int, str]]:
    """And prices of 1, 2 and 3 for the same."""
    product, meter = await new_product(platform), await new_meter(platform)
    prices = {
        amount: await metered_price(platform, product.id, meter.id, f"p{amount}", unit_amount=str(amount))
        for amount in (1, 2, 3)
    }
    made = await subscribe(platform, prices[1])
    return made, {amount: price.id for amount, price in prices.items()}


async def invoiced(platform: Platform, subscription_id: str, **used: int) -> str:
    """The cycle that bills so much by its key."""
    for key, quantity in used.items():
        await use(platform, subscription_id, quantity, START, key=key)
    await platform.pass_time(**A_MONTH)
    (cycle,) = await platform.rows("SELECT id FROM billing_cycles WHERE state = 'invoiced'")
    cycle_id: str = cycle["id"]
    return cycle_id


async def charged(platform: Platform) -> int:
    """What discounts and credits before tax left; each invoice is what its evidence says."""
    invoices = await invoices_of(platform)
    for invoice in invoices:
        assert differences(as_fields(await bundle_of(platform, invoice.id))) == []
    return sum(one.subtotal_minor - one.discount_minor - one.credit_minor for one in invoices)


@pytest.mark.parametrize("first", ["usage", "price"])
async def test_usage_and_price_are_corrected_in_either_order(platform: Platform, first: str):
    """Of 100 units, 40.00 were paid by credit: of half of them at twice the price, half of that was."""
    made, prices = await priced_at_one(platform)
    await credit(platform, made.customer_id, 4000)
    cycle_id = await invoiced(platform, made.id, a=50, b=50)
    if first == "price":
        await rerate(platform, cycle_id, prices[1], prices[2])
    await retract(platform, "b")
    await platform.pass_time(**A_MONTH)
    if first == "usage":
        await rerate(platform, cycle_id, prices[1], prices[2])
    assert await charged(platform) == 8000


async def test_no_more_is_charged_than_the_corrected_price_says(platform: Platform):
    """Of 100 units, 10 are left; of what they cost, 4.00 were paid by credit."""
    made, prices = await priced_at_one(platform)
    await credit(platform, made.customer_id, 4000)
    cycle_id = await invoiced(platform, made.id, a=90, b=10)
    await retract(platform, "a")
    await platform.pass_time(**A_MONTH)
    await rerate(platform, cycle_id, prices[1], prices[2])
    assert await charged(platform) == 1600


async def test_a_credit_that_paid_a_correction_is_not_asked_for_again(platform: Platform):
    made, prices = await priced_at_one(platform)
    cycle_id = await invoiced(platform, made.id, a=100)
    await credit(platform, made.customer_id, 4000)
    came_to = []
    for wrong, right in ((1, 2), (2, 3), (3, 2)):
        await rerate(platform, cycle_id, prices[wrong], prices[right])
        came_to.append(await charged(platform))
    assert came_to == [16000, 26000, 17333]


async def test_a_discount_stays_when_usage_is_taken_back_at_the_corrected_price(platform: Platform):
    """All that had been rated at first is gone by then."""
    made, prices = await priced_at_one(platform)
    await coupon(platform, "HALF", percent="50", duration=1)
    await redeem(platform, "HALF", made.customer_id)
    cycle_id = await invoiced(platform, made.id, a=50, b=50)
    await rerate(platform, cycle_id, prices[1], prices[2])
    await retract(platform, "b")
    await platform.pass_time(**A_MONTH)
    assert await charged(platform) == 5000
    await rerate(platform, cycle_id, prices[2], prices[3])
    assert await charged(platform) == 7500


async def test_a_price_of_another_tax_category_is_taxed_as_what_it_corrects(platform: Platform):
    await tax_rate(platform, "19")
    await tax_rate(platform, "7", category="reduced", name="reduced")
    meter = await new_meter(platform)
    reduced, other = await new_product(platform, tax_category="reduced"), await new_product(platform, "other")
    wrong = await metered_price(platform, reduced.id, meter.id, "wrong")
    right = await metered_price(platform, other.id, meter.id, "right", unit_amount="2")
    made = await subscribe(platform, wrong, customer_id=await customer_in(platform, "DE"))
    cycle_id = await invoiced(platform, made.id, a=100)
    answer = await rerate(platform, cycle_id, wrong.id, right.id)
    assert [(line.tax_category, line.tax_minor) for line in answer.invoice.lines] == [("reduced", 700)]
    assert await charged(platform) == 20000
