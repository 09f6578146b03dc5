"""A line that corrects a price says what it follows from; its figures come out of that alone."""

import re
from collections.abc import Iterator
from typing import Any

from billing.invoice.v1 import bundle_pb2, invoice_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub

from corebilling.values.ids import new_id
from tests.rpc.test_rerating import SIX, START, Contract, agreed, invoiced
from tests.scenarios.test_event_commands import access, command
from tests.scenarios.test_usage_is_billed_to_the_end import cancel
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import new_price
from tests.support.correction import rerate
from tests.support.invoice import invoices_of
from tests.support.money import void
from tests.support.platform import Platform
from tests.support.reporting import use

GIVEN = re.compile(r"price\.(version|price_version|created_at)|rerated\.rerated_at|billed\.\d+\.quantity")
"""Of a correction's evidence: terms that its amount does not follow from, quantities of earlier ones."""


async def explained(platform: Platform, line_id: str) -> bundle_pb2.LineExplanation:
    request = rpc.ExplainLineRequest(invoice_line_id=line_id)
    return (await platform.stub(InvoiceServiceStub).ExplainLine(request)).explanation


async def corrected(platform: Platform) -> tuple[Contract, invoice_pb2.Invoice]:
    """Five tokens and two that came late, for 1 each: three of them cost 6, and four cost 4 and once 1."""
    made = await invoiced(platform)
    await use(platform, made.subscription_id, 2, START)
    await platform.pass_time(days=31)
    tiered = await made.price(platform, "tiered", **SIX)
    return made, (await rerate(platform, made.cycle_id, made.tokens.id, tiered)).invoice


def figures(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str | int]]:
    """All numbers and times, with their places."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from figures(one, (*way, name))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from figures(one, (*way, place))
    elif isinstance(value, int) or re.match(r"-?\d+([./]\d+)?$|\d{4}-", value):
        yield way, value


def changed(value: str | int) -> str | int:
    if isinstance(value, int):
        return value + 1
    if re.match(r"\d{4}-", value):
        return f"2025{value[4:]}"
    whole, *rest = re.split(r"(?=[./])", value)
    return "".join([str(int(whole) + 1), *rest])


def believed(fields: dict[str, Any], *given: str) -> list[str]:
    """Figures of the evidence of corrections that can be changed, each by itself, and all comes out."""
    found = []
    for way, value in figures(fields["corrections"]):

        def lie(told: dict[str, Any], way: tuple[Any, ...] = way, value: str | int = value) -> None:
            place: Any = told["corrections"]
            for step in way[:-1]:
                place = place[step]
            place[way[-1]] = changed(value)

        name = ".".join(map(str, way[1:]))
        if name not in given and not GIVEN.search(name) and not differences(fields, lie):
            found.append(name)
    return found


async def test_a_corrected_price_is_explained_by_its_tiers_and_what_had_been_billed(platform: Platform):
    made, correction = await corrected(platform)
    told = await explained(platform, correction.lines[0].id)
    evidence = told.correction
    assert (evidence.price.code, evidence.rerated.price_id) == ("tiered", made.tokens.id)
    assert (evidence.rerated.quantity, evidence.rerated.reason) == ("7", "the price list was wrong")
    assert [tier.amount for tier in told.corrected_tiers] == ["18", "17"]
    assert (told.corrected_amount, evidence.rerated.amount_minor) == ("35", 3500)
    assert [(one.quantity, one.amount_minor) for one in evidence.billed] == [("5", 500), ("2", 200)]
    assert [one.invoice_number for one in evidence.billed] == [
        one.number for one in (await invoices_of(platform))[:2]
    ]
    assert told.line.amount_minor == 3500 - 700
    code, out, err = await command("invoice", "explain", correction.id, **access(platform))
    assert code == 0, err
    for fact in (
        "tiered, version 1: graduated",
        "35 USD -> 35.00 USD",
        "7.00 USD billed = 28",
        "0 to 3: 3; 3 x 6 = 18",
        "list was",
    ):
        assert fact in out, out


async def test_what_a_correction_comes_to_is_worked_out_from_its_evidence_alone(platform: Platform):
    made, correction = await corrected(platform)
    again = await made.price(platform, "again", unit_amount="0.335", included_quantity="2")
    tiered = correction.lines[0].price_id
    second = (await rerate(platform, made.cycle_id, tiered, again)).invoice
    for one in (correction, second):
        fields = as_fields(await bundle_of(platform, one.id))
        assert differences(fields) == []
        assert believed(fields) == []
        assert differences(fields, lambda b: b.pop("corrections"))
        assert differences(
            fields, lambda b: b["corrections"].append(b["corrections"][0] | {"invoice_line_id": "x"})
        )
    assert [
        one.amount_minor for one in (await explained(platform, second.lines[0].id)).correction.billed
    ] == [
        500,
        200,
        2800,
    ]


async def test_so_is_that_of_a_fee_for_a_part_of_its_period(platform: Platform):
    made = await agreed(platform)
    platform.clock.advance(days=10)
    await cancel(platform, made.subscription_id)
    await platform.pass_time(hours=2)
    dearer = await new_price(platform, made.product_id, "more", unit_amount="62.005")
    correction = (await rerate(platform, made.cycle_id, made.fee.id, dearer.id)).invoice
    fields = as_fields(await bundle_of(platform, correction.id))
    # A flat fee is of no units.
    assert differences(fields) == []
    assert believed(fields, "price.unit_size", "price.included_quantity") == []
    assert (await explained(platform, correction.lines[0].id)).correction.basis.share == "10/31"


async def test_a_correction_that_is_issued_again_keeps_its_evidence(platform: Platform):
    _, correction = await corrected(platform)
    request = rpc.ReissueInvoiceRequest(request_id=new_id("req"), invoice_id=correction.id, finalize=True)
    again = (await platform.stub(InvoiceServiceStub).ReissueInvoice(request)).invoice
    for one in (again, correction):
        fields = as_fields(await bundle_of(platform, one.id))
        assert (differences(fields), believed(fields)) == ([], [])
    assert (await explained(platform, again.lines[0].id)).correction.rerated.amount_minor == 3500
    await void(platform, again.id)
    assert differences(as_fields(await bundle_of(platform, again.id))) == []
