import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from billing.invoice.v1 import bundle_pb2, invoice_pb2
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from corebilling.commands.invoice_file import bundle_text, read_bundle
from corebilling.domains.invoice.bundle_reading import Unreadable, fraction, number
from corebilling.domains.invoice.verification import verify
from tests.support.random_bundle import bundles

SLOW = settings(suppress_health_check=list(HealthCheck), max_examples=60)

FIGURES = {
    "amount",
    "amount_before",
    "amount_due_minor",
    "amount_minor",
    "credit_minor",
    "credited_minor",
    "discount_minor",
    "prepaid_minor",
    "quantity",
    "quantity_before",
    "subtotal_minor",
    "tax_minor",
    "taxable_minor",
    "total_minor",
    "units",
}
"""Fields whose every change must be found."""

TAKEN_AS_GIVEN = {"coupons", "credits", "price"}
"""Their terms are what the rest is worked out from; a change may happen to make no difference."""


def wrong(bundle: bundle_pb2.InvoiceBundle) -> list[Any]:
    return [check for check in verify(bundle) if not check.ok]


def figures(message: Message) -> Iterator[tuple[Message, str]]:
    """All figures of a bundle, each with the message that holds it."""
    for field, value in message.ListFields():
        if field.name in TAKEN_AS_GIVEN and not isinstance(message, invoice_pb2.Invoice):
            continue
        if field.message_type is None:
            if field.name in FIGURES and not field.is_repeated:
                yield message, field.name
        else:
            for one in value if field.is_repeated else [value]:
                yield from figures(one)


@SLOW
@given(bundles())
def test_whatever_is_charged_comes_out(bundle: bundle_pb2.InvoiceBundle) -> None:
    assert wrong(bundle) == []


@SLOW
@given(bundles(), st.data())
def test_any_figure_that_is_changed_is_found(bundle: bundle_pb2.InvoiceBundle, data: st.DataObject) -> None:
    message, name = data.draw(st.sampled_from(list(figures(bundle))))
    value = getattr(message, name)
    setattr(message, name, f"{value}1" if isinstance(value, str) and "." in value else _changed(value))
    assert wrong(bundle) != []


def _changed(value: str | int) -> str | int:
    return value + 1 if isinstance(value, int) else f"{value}.1"


@SLOW
@given(bundles(), st.sampled_from(invoice_pb2.InvoiceState.values()))
def test_any_other_state_is_found(bundle: bundle_pb2.InvoiceBundle, state: invoice_pb2.InvoiceState) -> None:
    assume(state not in (invoice_pb2.INVOICE_STATE_UNSPECIFIED, bundle.invoice.state))
    bundle.invoice.state = state
    assert [check.figure for check in wrong(bundle)] == ["state"]


@SLOW
@given(bundle=bundles())
def test_a_file_says_what_the_bundle_does(bundle: bundle_pb2.InvoiceBundle, tmp_path_factory: Any) -> None:
    file: Path = tmp_path_factory.mktemp("bundle") / "bundle.json"
    file.write_text(bundle_text(bundle))
    assert read_bundle(file) == bundle
    assert bundle_text(read_bundle(file)) == bundle_text(bundle)


@pytest.mark.parametrize("text", ["1e9", "NaN", "٣", "1/0", "1/00", "x", "--1", "9" * 200])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(Unreadable, match="no number"):
        number(text, "quantity")
    with pytest.raises(Unreadable, match="no fraction"):
        fraction(text, "share")


@SLOW
@given(bundles(), st.data())
def test_no_file_however_strange_ends_in_anything_but_a_sentence(
    bundle: bundle_pb2.InvoiceBundle, data: st.DataObject
) -> None:
    fields = json.loads(bundle_text(bundle))
    path = data.draw(st.sampled_from(list(_paths(fields))))
    *way, last = path
    place = fields
    for step in way:
        place = place[step]
    place[last] = data.draw(st.sampled_from(["", "x", "-1", "1/3", "99999999999999999999", "1e99999999"]))
    with suppress(Unreadable, json_format.ParseError):
        verify(json_format.ParseDict(fields, bundle_pb2.InvoiceBundle()))


def _paths(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _paths(one, (*way, key))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _paths(one, (*way, place))
    else:
        yield way
