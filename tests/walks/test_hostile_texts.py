"""Texts that people type, paste or try, wherever an invoice shows one: on paper and on screen.

`SEED=7 TEXTS=100 pytest -m long tests/walks/test_hostile_texts.py` prints very many, with seeds counted from
SEED; the name of one that fails ends with its seed.
"""

import os
from collections.abc import Awaitable
from random import Random
from typing import Any, TypeVar

import grpc
import pytest
from billing.branding.v1 import branding_pb2, branding_service_pb2
from billing.branding.v1.branding_service_pb2_grpc import BrandingServiceStub
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.types.v1 import language_pb2

from corebilling.values.ids import new_id
from tests.support.catalog import new_customer
from tests.support.money import invoice, item, tax_rate
from tests.support.platform import Platform

SEED = int(os.environ.get("SEED", "1"))
TEXTS = int(os.environ.get("TEXTS", "100"))
LANGUAGES = (language_pb2.LANGUAGE_EN, language_pb2.LANGUAGE_AR, language_pb2.LANGUAGE_JA)
FRAGMENTS = (
    *('#read("/etc/passwd")', "#panic()", "$x^2$", "@ref", "<label>", "*b* _i_", "= h", "\\", "//", "`raw`"),
    *("<script>alert(1)</script>", "&amp;", "\"'", "]]>-->*/", "{{x}}", "{% y %}", "javascript:alert(1)"),
    *("\u202eevil\u202c", "\u2066x", "\u0301" * 60, "\ufeff", "\u2028\u2029", "\U0001f468\u200d\U0001f469"),
    *("W" * 90, "\U0001d54f" * 30, "مرحبا 123 abc", "東京都", "Ada Lovelace"),
)
SELDOM = ("a\nb\tc\rd", "\ufffe\uffff", "\x01\x08", "\x00")
"""What is refused nearly everywhere, and with it all else that the call says."""

Answer = TypeVar("Answer")


@pytest.mark.parametrize("seed", range(4))
async def test_any_text_is_refused_or_printed(platform: Platform, seed: int) -> None:
    await show(platform, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED, SEED + TEXTS))
async def test_very_many_texts_are_refused_or_printed(platform: Platform, seed: int) -> None:
    await show(platform, seed)


async def show(platform: Platform, seed: int) -> None:
    chance = Random(seed)
    await tax_rate(platform, "19")
    await accepted(
        platform.stub(BrandingServiceStub).SetBranding(
            branding_service_pb2.SetBrandingRequest(
                request_id=new_id("req"),
                branding=branding_pb2.Branding(
                    display_name=text(chance, 200),
                    legal_lines=[text(chance, 120) for _ in range(8)],
                    tax_id=text(chance, 64),
                    footer=text(chance, 300),
                ),
            )
        )
    )
    address = customer_pb2.Address(country="DE", line1=text(chance, 100), city=text(chance, 100))
    details = customer_service_pb2.CustomerDetails(name=text(chance, 200), address=address)
    customer = await accepted(new_customer(platform, details=details)) or await new_customer(platform)
    items = [
        rpc.OneTimeItem(description=text(chance, 200), unit_amount=amount)
        for amount in ("99999999999.99", "-1")
    ]
    made = await accepted(invoice(platform, customer.id, *items))
    made = made or await invoice(platform, customer.id, item("9"))
    stub = platform.stub(InvoiceServiceStub)
    for language in LANGUAGES:
        wanted: dict[str, Any] = {"invoice_id": made.id, "language": language}
        page = await stub.RenderInvoice(rpc.RenderInvoiceRequest(format=rpc.INVOICE_FORMAT_HTML, **wanted))
        assert "<script>alert" not in page.html
        paper = await stub.RenderInvoice(rpc.RenderInvoiceRequest(format=rpc.INVOICE_FORMAT_PDF, **wanted))
        assert paper.pdf.startswith(b"%PDF")


def text(chance: Random, longest: int) -> str:
    """One or several fragments, or characters from anywhere, up to so many characters."""
    count = chance.choice([1, 1, 2, 5])
    parts = [chance.choice(SELDOM if chance.random() < 0.02 else FRAGMENTS) for _ in range(count)]
    if chance.random() < 0.3:
        planes = chance.choice([(0x20, 0x7F), (0xA0, 0x2FFF), (0x3000, 0xD7FF), (0xE000, 0x10FFFF)])
        parts.append("".join(chr(chance.randint(*planes)) for _ in range(20)))
    return " ".join(parts)[:longest]


async def accepted(call: Awaitable[Answer]) -> Answer | None:
    """The answer; None when what was written is refused, as it may be."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        return None
