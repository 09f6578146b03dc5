"""What is corrected had been discounted, or withdrawn: only what was charged is given back, on any path."""

from decimal import Decimal

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import invoice_pb2
from billing.subscription.v1 import subscription_pb2

from tests.rpc.test_reconcile import books
from tests.rpc.test_rerating import START, Contract, agreed, invoiced
from tests.support.app import refused
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import metered_price, new_meter, new_product, pause, resume, subscribe
from tests.support.correction import correct, rerate, retract
from tests.support.invoice import invoices_of
from tests.support.money import balances, coupon, give_back, pay, redeem, void, write_off
from tests.support.platform import Platform
from tests.support.reporting import use

FEE = 3100
A_MONTH = {"days": 31, "hours": 2}


async def charged(platform: Platform) -> int:
    """What all invoices come to that are not withdrawn, without tax; each is what its evidence says."""
    invoices = await invoices_of(platform)
    for invoice in invoices:
        assert differences(as_fields(await bundle_of(platform, invoice.id))) == []
    assert (await books(platform)).balanced
    return sum(
        one.subtotal_minor - one.discount_minor
        for one in invoices
        if one.state != invoice_pb2.INVOICE_STATE_VOID
    )


async def discounted(platform: Platform, percent: str = "50", **terms: object) -> Contract:
    made = await agreed(platform)
    await coupon(platform, "OFF", percent=percent, **terms)
    await redeem(platform, "OFF", made.customer_id)
    return made


async def test_usage_taken_back_gives_back_what_was_paid_for_it(platform: Platform):
    made = await discounted(platform)
    await use(platform, made.subscription_id, 500, START, key="first")
    await platform.pass_time(**A_MONTH)
    (first,) = await invoices_of(platform)
    await pay(platform, first.id, first.total_minor)
    await retract(platform, "first")
    await platform.pass_time(days=31)
    assert await charged(platform) == 2 * FEE // 2
    given_back = (await invoices_of(platform))[-1].lines[-1]
    assert (given_back.amount_minor, given_back.discount_minor) == (-50000, -25000)


async def test_what_was_free_gives_nothing_back(platform: Platform):
    made = await discounted(platform, "100", duration=1)
    await use(platform, made.subscription_id, 500, START, key="first")
    await platform.pass_time(**A_MONTH)
    await retract(platform, "first")
    await platform.pass_time(days=31)
    assert await charged(platform) == FEE


async def test_in_steps_all_comes_to_what_it_comes_to_at_once(platform: Platform):
    made = await discounted(platform, "33.333", duration=1)
    await use(platform, made.subscription_id, 7, START, key="first")
    await platform.pass_time(**A_MONTH)
    (first,) = await invoices_of(platform)
    before = await charged(platform)
    for quantity in ("5.1", "3.3", "0"):
        await correct(platform, "first", quantity)
        await platform.pass_time(days=31)
    usage = next(
        line for line in first.lines if line.subscription_item_id != first.lines[0].subscription_item_id
    )
    assert await charged(platform) == before - (usage.amount_minor - usage.discount_minor) + 3 * FEE


async def test_a_threshold_that_a_typo_came_to(platform: Platform):
    made = await agreed(
        platform, spend_thresholds=[subscription_pb2.SpendThreshold(amount_minor=1000, recurring=True)]
    )
    await coupon(platform, "OFF", percent="50")
    await redeem(platform, "OFF", made.customer_id)
    await use(platform, made.subscription_id, 2000, START, key="typo")
    await platform.drain()
    await correct(platform, "typo", "20")
    await platform.pass_time(**A_MONTH)
    assert await charged(platform) == (FEE + 2000) // 2


async def test_a_true_up_given_back_had_been_discounted(platform: Platform):
    made = await agreed(platform, committed_minor=50000)
    await coupon(platform, "OFF", percent="50")
    await redeem(platform, "OFF", made.customer_id)
    await platform.pass_time(**A_MONTH)
    await use(platform, made.subscription_id, 400, START)
    await platform.pass_time(days=31)
    assert await charged(platform) == 2 * 50000 // 2


@pytest.mark.parametrize("duration", [1, 0], ids=["once", "for ever"])
@pytest.mark.parametrize(
    "path",
    [["0.25"], ["0.5", "0.25"], ["0.5", "0.3", "0.25"], ["0", "0.25"], ["2", "0.25"], ["0.5", "1", "0.25"]],
)
async def test_any_path_of_price_corrections_leads_to_the_same(
    platform: Platform, path: list[str], duration: int
):
    made = await discounted(platform, "10", **({"duration": duration} if duration else {}))
    await use(platform, made.subscription_id, 1000, START)
    await platform.pass_time(**A_MONTH)
    price_id = made.tokens.id
    for number, unit_amount in enumerate(path):
        corrected = await made.price(platform, f"corrected-{number}", unit_amount=unit_amount)
        await rerate(platform, made.cycle_id, price_id, corrected)
        price_id = corrected
    assert await charged(platform) == (FEE + 25000) * 9 // 10


async def test_what_was_withdrawn_is_not_given_back(platform: Platform):
    made = await agreed(platform)
    await use(platform, made.subscription_id, 500, START, key="first")
    await platform.pass_time(**A_MONTH)
    (first,) = await invoices_of(platform)
    await void(platform, first.id)
    await retract(platform, "first")
    await platform.pass_time(days=31)
    assert await charged(platform) == FEE
    assert (await balances(platform))["REVENUE"] == -FEE


@pytest.mark.parametrize(("paid", "given_back"), [(0, 0), (10620, 10000)], ids=["nothing", "a fifth"])
async def test_what_was_written_off_is_not_given_back(platform: Platform, paid: int, given_back: int):
    """Of 531.00, of which 500.00 are for usage that is taken back then: what was paid of it is."""
    made = await agreed(platform)
    await use(platform, made.subscription_id, 500, START, key="first")
    await platform.pass_time(**A_MONTH)
    (first,) = await invoices_of(platform)
    if paid:
        await pay(platform, first.id, paid)
    await write_off(platform, first.id)
    books_before = await balances(platform)
    await retract(platform, "first")
    await platform.pass_time(days=31)
    second = (await invoices_of(platform))[-1]
    (line,) = (one for one in second.lines if one.amount_minor < 0)
    assert (line.amount_minor, line.discount_minor) == (-50000, given_back - 50000)
    assert (second.subtotal_minor - second.discount_minor) == FEE - given_back
    (event,) = [one for one in await platform.events("invoice.generated") if one.invoice_id == second.id]
    assert event.total_minor == second.total_minor
    books_now = await balances(platform)
    assert books_now["BAD_DEBT"] == books_before["BAD_DEBT"] == first.total_minor - paid
    assert books_now["REVENUE"] == books_before["REVENUE"] - FEE + given_back
    assert differences(as_fields(await bundle_of(platform, second.id))) == []


async def test_a_price_that_was_free_is_corrected_with_the_discounts_in_force(platform: Platform):
    """Nothing had been rated that they could follow. What is corrected next keeps them."""
    made = await discounted(platform, "10")
    free = await made.price(platform, "free", unit_amount="0")
    created = await subscribe(platform, catalog_pb2.Price(id=free), customer_id=made.customer_id)
    await use(platform, created.id, 100, START)
    await platform.pass_time(**A_MONTH)
    (cycle,) = await platform.rows(
        "SELECT id FROM billing_cycles WHERE subscription_id = $1 AND state = 'invoiced'", created.id
    )
    one = await made.price(platform, "one", unit_amount="1")
    answer = await rerate(platform, cycle["id"], free, one)
    (line,) = answer.invoice.lines
    assert (line.amount_minor, line.discount_minor, line.evidence.rated_minor) == (10000, 1000, 0)
    assert [used.percent for used in answer.invoice.discounts] == ["10"]
    half = await made.price(platform, "half", unit_amount="0.5")
    (line,) = (await rerate(platform, cycle["id"], one, half)).invoice.lines
    assert (line.amount_minor, line.discount_minor, line.evidence.rated_minor) == (-5000, -500, 10000)
    assert await charged(platform) == (FEE + 5000) * 9 // 10


@pytest.mark.parametrize("percent", ["0", "10"])
@pytest.mark.parametrize(("noted", "left"), [(50000, "0"), (25000, "0.5"), (100, "0.998")])
async def test_what_a_credit_note_gave_back_is_not_given_back_again(
    platform: Platform, noted: int, left: str, percent: str
):
    made = await discounted(platform, percent) if percent != "0" else await agreed(platform)
    await use(platform, made.subscription_id, 500, START, key="first")
    await platform.pass_time(**A_MONTH)
    (first,) = await invoices_of(platform)
    await give_back(platform, first.id, **{first.lines[1].id: noted})
    rest = (100 - Decimal(percent)) / 100 * Decimal(left)
    for quantity, taken_back in (("300", 20000), ("0", 30000)):
        await correct(platform, "first", quantity)
        await platform.pass_time(days=31)
        second = (await invoices_of(platform))[-1]
        line = second.lines[-1]
        assert line.amount_minor == -taken_back
        assert line.amount_minor - line.discount_minor == -taken_back * rest
    assert (await books(platform)).balanced


async def test_a_corrected_price_keeps_what_a_credit_note_gave_back_of_each_unit(platform: Platform):
    made = await invoiced(platform, 500)
    (first,) = await invoices_of(platform)
    await give_back(platform, first.id, **{first.lines[1].id: 5000})
    half, thrice = [await made.price(platform, code, unit_amount=code) for code in ("0.5", "3")]
    price_id, nets = made.tokens.id, []
    for corrected in (half, thrice, made.tokens.id):
        (line,) = (await rerate(platform, made.cycle_id, price_id, corrected)).invoice.lines
        nets.append(line.amount_minor - line.discount_minor)
        price_id = corrected
    # A tenth of what is charged stays given back.
    assert nets == [-22500, 112500, -90000]


@pytest.mark.parametrize("percent", ["0", "33.333"])
@pytest.mark.parametrize("by", ["usage", "price"])
async def test_what_a_correction_gave_back_no_credit_note_gives_back_again(
    platform: Platform, by: str, percent: str
):
    """By 250 units of 500, or half of the price: the rest can be given back, and only that."""
    made = await discounted(platform, percent, duration=1) if percent != "0" else await agreed(platform)
    await use(platform, made.subscription_id, 500, START, key="first")
    await platform.pass_time(**A_MONTH)
    (first,) = await invoices_of(platform)
    usage = first.lines[1]
    if by == "usage":
        await correct(platform, "first", "250")
        await platform.pass_time(days=31)
        line = (await invoices_of(platform))[-1].lines[-1]
    else:
        (cycle,) = await platform.rows("SELECT id FROM billing_cycles WHERE state = 'invoiced'")
        half = await made.price(platform, "half", unit_amount="0.5")
        (line,) = (await rerate(platform, cycle["id"], made.tokens.id, half)).invoice.lines
    rest = usage.amount_minor - usage.discount_minor + line.amount_minor - line.discount_minor
    more = await refused(give_back(platform, first.id, **{usage.id: 25002}))
    assert (more.code, more.reason) == ("INVALID_ARGUMENT", "CREDIT_EXCEEDS_INVOICE")
    assert more.facts["line_id"] == usage.id
    assert 24999 <= int(more.facts["creditable_minor"]) <= 25001
    await give_back(platform, first.id, **{usage.id: 5001})
    note = (await give_back(platform, first.id)).credit_note
    fee = first.lines[0]
    taken = round((usage.amount_minor - usage.discount_minor) * Decimal(5001) / usage.amount_minor)
    assert abs(note.subtotal_minor - (fee.amount_minor - fee.discount_minor) - (rest - taken)) <= 1
    again = await refused(give_back(platform, first.id))
    assert (again.code, again.reason) == ("INVALID_ARGUMENT", "CREDIT_EXCEEDS_INVOICE")
    await retract(platform, "first")
    await platform.pass_time(days=31)
    last = (await invoices_of(platform))[-1].lines[-1]
    if by == "usage":
        assert last.amount_minor - last.discount_minor == 0


async def test_neither_a_correction_nor_what_it_corrects_is_withdrawn(platform: Platform):
    """The one would be lost, the other given back twice. What nothing corrects may be."""
    await invoiced(platform, 500)
    await correct(platform, "first", "480")
    await platform.pass_time(days=31)
    first, second = await invoices_of(platform)
    for invoice in (first, second):
        refusal = await refused(void(platform, invoice.id))
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "INVOICE_HAS_CORRECTIONS")
    await platform.pass_time(days=31)
    third = (await invoices_of(platform))[-1]
    assert (await void(platform, third.id)).state == invoice_pb2.INVOICE_STATE_VOID


async def test_what_a_credit_note_took_back_of_a_correction_can_be_given_back_again(platform: Platform):
    """A note over all of the invoice that takes 20 units of 500 back, then one over all of theirs."""
    await invoiced(platform, 500)
    await correct(platform, "first", "480")
    await platform.pass_time(days=31)
    first, second = await invoices_of(platform)
    assert (await give_back(platform, second.id)).credit_note.subtotal_minor == FEE - 2000
    assert (await give_back(platform, first.id)).credit_note.subtotal_minor == FEE + 50000


async def around_a_pause(
    platform: Platform, model: catalog_pb2.PriceModel, percent: str = "50"
) -> invoice_pb2.Invoice:
    """1,000 units and then 100, half off: 11.00 by volume, as 100.00 and -89.00, or 101.00 graduated."""
    product, meter = await new_product(platform), await new_meter(platform)
    tiers = [
        catalog_pb2.PriceTier(up_to="1000", unit_amount="0.10"),
        catalog_pb2.PriceTier(unit_amount="0.01"),
    ]
    price = await metered_price(platform, product.id, meter.id, model=model, unit_amount="", tiers=tiers)
    made = await subscribe(platform, price)
    if percent != "0":
        await coupon(platform, "OFF", percent=percent, duration=1)
        await redeem(platform, "OFF", made.customer_id)
    await use(platform, made.id, 1000, START, key="a")
    platform.clock.advance(days=5)
    await pause(platform, made.id)
    await platform.pass_time(days=1)
    await resume(platform, made.id)
    await platform.drain()
    await use(platform, made.id, 100, key="b")
    await platform.pass_time(days=31)
    return (await invoices_of(platform))[0]


@pytest.mark.parametrize(
    ("model", "subtotal_minor"),
    [(catalog_pb2.PRICE_MODEL_VOLUME, 1100), (catalog_pb2.PRICE_MODEL_GRADUATED, 10100)],
    ids=["volume", "graduated"],
)
async def test_items_that_are_priced_together_are_given_back_together(
    platform: Platform, model: catalog_pb2.PriceModel, subtotal_minor: int
):
    first = await around_a_pause(platform, model)
    assert (first.subtotal_minor, first.discount_minor) == (subtotal_minor, subtotal_minor // 2)
    for key in "ab":
        await retract(platform, key)
    await platform.pass_time(days=31)
    assert await charged(platform) == 0
    assert (await balances(platform)).get("REVENUE", 0) == 0


async def test_notes_share_what_is_left_of_what_is_priced_together(platform: Platform):
    """Of 11.00 by volume, a correction gives back 1.00: 100 units are 10.00 by themselves, as notes may."""
    first = await around_a_pause(platform, catalog_pb2.PRICE_MODEL_VOLUME, percent="0")
    await retract(platform, "a")
    await platform.pass_time(days=31)
    refusal = await refused(give_back(platform, first.id, **{first.lines[0].id: 1100}))
    assert (refusal.reason, refusal.facts["creditable_minor"]) == ("CREDIT_EXCEEDS_INVOICE", "1000")
    await give_back(platform, first.id, **{first.lines[0].id: 1000})
    assert (await balances(platform)).get("REVENUE", 0) == 0


async def test_what_is_cheaper_together_corrects_nothing(platform: Platform):
    """100.00 and -89.00 of one invoice: it can be withdrawn like any other."""
    first = await around_a_pause(platform, catalog_pb2.PRICE_MODEL_VOLUME)
    assert (await void(platform, first.id)).state == invoice_pb2.INVOICE_STATE_VOID
