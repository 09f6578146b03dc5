"""Paging by key: opaque tokens that say where the last page ended."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from corebilling.errors import InvalidArgument

DEFAULT_PAGE_ROWS = 50
MAX_PAGE_ROWS = 500
MAX_PAGE_BYTES = 3 * 1024 * 1024
"""Of the 4 MiB that a message may have: pages of large rows end early."""

Row = TypeVar("Row")


def page_limit(page_size: int) -> int:
    """Rows per page for a request's `page_size`; 0 means the default."""
    return min(page_size or DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS)


def encode_page_token(*keys: str) -> str:
    """The token of a page that ends at the row with these sort keys."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


def decode_page_token(token: str, count: int) -> tuple[str, ...]:
    """The `count` sort keys to go on after; empty strings when there is no token.

    Raises:
        InvalidArgument: PAGE_TOKEN_INVALID when the token is not one that `encode_page_token` made.
    """
    if not token:
        return ("",) * count
    try:
        keys = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        # JSON can spell half of a character, which the database cannot take.
        json.dumps(keys, ensure_ascii=False).encode()
    except (binascii.Error, ValueError):
        keys = None
    if not (isinstance(keys, list) and len(keys) == count and all(isinstance(key, str) for key in keys)):
        raise bad_page_token()
    return tuple(keys)


def ordinal_of(key: str) -> int:
    """The number that a sort key stands for, as small as rows number theirs; '' is 0.

    Raises:
        InvalidArgument: PAGE_TOKEN_INVALID when it stands for none.
    """
    if not key:
        return 0
    if not (key.isascii() and key.isdigit() and len(key) < 10):
        raise bad_page_token()
    return int(key)


def time_of(key: str) -> datetime:
    """The time that a sort key stands for, in UTC.

    Raises:
        InvalidArgument: PAGE_TOKEN_INVALID when it stands for none.
    """
    try:
        return datetime.fromisoformat(key).astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad_page_token() from None


def bad_page_token() -> InvalidArgument:
    return InvalidArgument(
        "PAGE_TOKEN_INVALID", "The page token is not one this list gave; start again without it."
    )


def next_page(
    rows: Sequence[Row], limit: int, key: Callable[[Row], str | tuple[str, ...]]
) -> tuple[Sequence[Row], str]:
    """Splits `limit + 1` fetched rows into the page and the token of the next one ('' on the last page)."""
    if len(rows) <= limit:
        return rows, ""
    page = rows[:limit]
    last = key(page[-1])
    return page, encode_page_token(*((last,) if isinstance(last, str) else last))


def count_fitting(sizes: Iterable[int], limit_bytes: int) -> int:
    """How many of the first rows fit into a page, by their sizes in bytes: one at least."""
    count = total = 0
    for size in sizes:
        total += size
        if count and total > limit_bytes:
            break
        count += 1
    return count
