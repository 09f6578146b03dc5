"""What a tenant's invoices may look like."""

from corebilling.errors import InvalidArgument

MAX_LOGO_PIXELS = 2000

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = b"\x00\x00\x00\x0dIHDR"


def check_logo(image: bytes) -> None:
    """A few kilobytes can unfold to gigabytes of pixels: an image says first how large it is.

    Raises:
        InvalidArgument: BRANDING_LOGO_INVALID unless it is empty, or begins as a PNG image of a sane size.
    """
    if not image:
        return
    start = len(_SIGNATURE) + len(_HEADER)
    if image[:start] != _SIGNATURE + _HEADER or len(image) < start + 8:
        raise logo_invalid("it is no PNG image")
    width = int.from_bytes(image[start : start + 4], "big")
    height = int.from_bytes(image[start + 4 : start + 8], "big")
    if not (0 < width <= MAX_LOGO_PIXELS and 0 < height <= MAX_LOGO_PIXELS):
        raise logo_invalid(f"it has {width} x {height} pixels")


def logo_invalid(why: str) -> InvalidArgument:
    return InvalidArgument(
        "BRANDING_LOGO_INVALID",
        f"The logo cannot be printed: {why}. Send a PNG image of at most {MAX_LOGO_PIXELS} pixels each way.",
        {"field": "branding.logo"},
    )
