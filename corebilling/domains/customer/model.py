"""Customers: who receives invoices."""

from collections.abc import Iterable

from corebilling.errors import InvalidArgument

DETAIL_FIELDS = frozenset(
    {"name", "company", "email", "tax_id", "address", "consolidate_invoices", "language", "timezone"}
)


def decide_changed_fields(mask: Iterable[str]) -> tuple[str, ...]:
    """The fields that an update mask names, once each and sorted.

    Raises:
        InvalidArgument: UPDATE_MASK_INVALID when it is empty or names something else.
    """
    fields = tuple(sorted(set(mask)))
    if not fields:
        raise InvalidArgument(
            "UPDATE_MASK_INVALID", "Name the fields to change in update_mask.", {"path": ""}
        )
    for field in fields:
        if field not in DETAIL_FIELDS:
            allowed = ", ".join(sorted(DETAIL_FIELDS))
            raise InvalidArgument(
                "UPDATE_MASK_INVALID", f"'{field}' cannot be changed; use {allowed}.", {"path": field}
            )
    return fields
