"""Customers: who receives invoices.

active -> erased, once nothing runs, is to be invoiced, or is not settled
"""

from collections.abc import Iterable

from corebilling.errors import FailedPrecondition, InvalidArgument

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


_REMEDIES = {
    "subscription": "A subscription of the customer's has not ended; cancel it, then erase.",
    "billing_cycle": "An ended subscription is still to be invoiced; wait until it is, then erase.",
    "invoice": "An invoice is not settled; have it paid, void it or write it off, then erase.",
}


def check_erasable(customer_id: str, obstacle: tuple[str, str] | None) -> None:
    """`obstacle`: the kind and id of something that must end first.

    Raises:
        FailedPrecondition: CUSTOMER_NOT_ERASABLE.
    """
    if obstacle is not None:
        kind, id_ = obstacle
        raise FailedPrecondition(
            "CUSTOMER_NOT_ERASABLE",
            _REMEDIES[kind],
            {"customer_id": customer_id, "obstacle": kind, "id": id_},
        )
