"""Branding: set and read, announced once, and never such that an invoice could not be printed."""

import struct
import zlib
from typing import Any

import pytest
from billing.branding.v1 import branding_events_pb2, branding_pb2, branding_service_pb2
from billing.branding.v1.branding_service_pb2_grpc import BrandingServiceStub
from billing.types.v1 import language_pb2

from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.platform import Platform, platform

__all__ = ["platform"]


def png(width: int, height: int, *, data: bytes | None = None) -> bytes:
    """A gray image; or one whose data is something else."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = zlib.compress((b"\0" + b"\x80" * width) * height) if data is None else data
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


async def brand(platform: Platform, **fields: Any) -> branding_pb2.Branding:
    request = branding_service_pb2.SetBrandingRequest(
        request_id=new_id("req"), branding=branding_pb2.Branding(**fields)
    )
    return (await platform.stub(BrandingServiceStub).SetBranding(request)).branding


async def branding(platform: Platform, *, key: str | None = None) -> branding_pb2.Branding:
    request = branding_service_pb2.GetBrandingRequest()
    return (await platform.stub(BrandingServiceStub, key=key).GetBranding(request)).branding


async def test_branding_is_kept_and_announced_once(platform: Platform) -> None:
    assert await branding(platform) == branding_pb2.Branding()
    fields: dict[str, Any] = {
        "display_name": "Acme",
        "legal_lines": ["1 Main Street", "Bank 123"],
        "tax_id": "DE1",
        "accent_color": "#aa00ff",
        "logo": png(40, 20),
        "footer": "Thank you",
        "language": language_pb2.LANGUAGE_JA,
    }
    assert await brand(platform, **fields) == branding_pb2.Branding(**fields)
    await brand(platform, **fields)
    assert await branding(platform) == branding_pb2.Branding(**fields)
    events = await platform.events("tenant.branding.changed")
    assert events == [branding_events_pb2.BrandingChanged(tenant_id=platform.tenant_id)]


async def test_another_tenant_has_its_own(platform: Platform) -> None:
    await brand(platform, display_name="Acme")
    _, key = await platform.new_tenant("other")
    assert await branding(platform, key=key) == branding_pb2.Branding()


@pytest.mark.parametrize(
    "logo",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        png(1, 1, data=zlib.compress(b""))[:40],
        png(2001, 1),
        png(1, 4_000_000_000, data=b""),
        png(10, 10, data=b"no image data"),
    ],
)
async def test_a_logo_that_cannot_be_printed_is_refused(platform: Platform, logo: bytes) -> None:
    refusal = await refused(brand(platform, logo=logo))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "BRANDING_LOGO_INVALID")
    assert refusal.facts == {"field": "branding.logo"}
    assert await branding(platform) == branding_pb2.Branding()


@pytest.mark.parametrize(
    "fields",
    [
        {"accent_color": "red; background: url(https://evil)"},
        {"legal_lines": [""]},
        {"legal_lines": ["x"] * 9},
        {"logo": bytes(65537)},
        {"language": 99},
    ],
)
async def test_fields_have_bounds(platform: Platform, fields: dict[str, Any]) -> None:
    refusal = await refused(brand(platform, **fields))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
