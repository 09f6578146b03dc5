"""Credits of a customer: what pays for, or lowers, what would otherwise be due.

Credits of most kinds lower what is taxed; prepaid ones are money received before, and pay what is due with
its tax. None is used beyond what remains of it, nor beyond what there is to pay.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class CreditKind(StrEnum):
    PROMOTIONAL = "promotional"
    DISCOUNT = "discount"
    COMPENSATION = "compensation"
    REFUND = "refund"
    PREPAID = "prepaid"


class CreditApplication(StrEnum):
    """When credits other than prepaid ones come off an invoice."""

    BEFORE_TAX = "before_tax"
    """They lower what is taxed."""
    AFTER_TAX = "after_tax"
    """They pay what is due with its tax."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What a customer may still use, in minor units of the currency.

    Args:
        valid_until: From when on it is void; None: never.
        priority: Of prepaid credits, lower ones are used first.
    """

    id: str
    kind: CreditKind
    currency: str
    remaining_minor: int
    valid_from: datetime
    created_at: datetime
    valid_until: datetime | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class CreditUse:
    credit: Credit
    amount_minor: int


def usable_credits(available: Iterable[Credit], currency: str, at: datetime) -> list[Credit]:
    """Those of the currency that hold at a moment and have something left, the next to be used first.

    Prepaid ones come last and in the order of grants: by priority, by expiry (those that never expire
    last), by creation. All others in the order in which they became valid.
    """
    usable = [
        credit
        for credit in available
        if credit.currency == currency
        and credit.remaining_minor > 0
        and credit.valid_from <= at
        and (credit.valid_until is None or at < credit.valid_until)
    ]
    return sorted(usable, key=_order)


_NEVER = datetime.max.replace(tzinfo=UTC)


def _order(credit: Credit) -> tuple[bool, int, datetime, datetime, str]:
    if credit.kind is CreditKind.PREPAID:
        return True, credit.priority, credit.valid_until or _NEVER, credit.created_at, credit.id
    return False, 0, credit.valid_from, credit.created_at, credit.id


def use_credits(ordered: Iterable[Credit], amount_minor: int) -> list[CreditUse]:
    """What each credit, in the order given, takes of an amount; those that take nothing left out."""
    uses = []
    left_minor = max(0, amount_minor)
    for credit in ordered:
        if used_minor := min(credit.remaining_minor, left_minor):
            uses.append(CreditUse(credit, used_minor))
            left_minor -= used_minor
    return uses


def part_of(used: Mapping[str, int], *, after_minor: int, amount_minor: int) -> dict[str, int]:
    """An amount of what credits paid, in their order, by their ids, after the first `after_minor`."""
    parts = {}
    for credit_id, used_minor in used.items():
        passed_minor = min(after_minor, used_minor)
        after_minor -= passed_minor
        if part_minor := min(used_minor - passed_minor, amount_minor):
            parts[credit_id] = part_minor
            amount_minor -= part_minor
    return parts


@dataclass(frozen=True, slots=True)
class Draw:
    """What a wallet did for a charge, or a grant for the wallet.

    Args:
        applied_minor: Paid from the balance.
        repaid_minor: Of a grant: what went to overage from before.
        due_minor: Left to be paid by other means; nothing if overage is allowed.
        balance_minor: Afterwards; below zero it is overage, which the next grant repays.
    """

    applied_minor: int
    repaid_minor: int
    due_minor: int
    balance_minor: int


@dataclass(frozen=True, slots=True)
class Movement:
    """A charge on a wallet in minor units, or a grant to it; what is not eligible is not paid from it."""

    amount_minor: int
    grant: bool = False
    eligible: bool = True


def draw_wallet(opening_minor: int, movements: Sequence[Movement], *, overage: bool = False) -> list[Draw]:
    """What movements do to a wallet one after the other.

    A forecast of one balance, which may go below zero. Invoices take what is left of each credit and never
    more: see `use_credits`.

    Args:
        overage: Charges are taken from an empty wallet too, and the next grants repay them.
    """
    draws = []
    balance = opening_minor
    for movement in movements:
        amount = movement.amount_minor
        if movement.grant:
            repaid = min(amount, max(0, -balance))
            balance += amount
            draws.append(Draw(0, repaid, 0, balance))
            continue
        applied = min(amount, max(0, balance)) if movement.eligible else 0
        carried = amount - applied if overage and movement.eligible else 0
        balance -= applied + carried
        draws.append(Draw(applied, 0, amount - applied - carried, balance))
    return draws
