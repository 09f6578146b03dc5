"""Lines below zero give back no more than was charged.

What discounts and credits took off, credit notes gave back, or was withdrawn or written off with its invoice,
is not given back. A line that takes an amount back has its part of that for a discount below zero, comes to
what the customer is to have again, and is taxed as what was charged had been.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from billing_db import invoice as invoice_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice.draft import Draft, DraftLine
from corebilling.domains.invoice.reckoning import Settled
from corebilling.domains.invoice.true_up import TRUE_UP
from corebilling.values.discount import uncharged_of, uncharged_part


class Same(NamedTuple):
    """What lines are of: an item ('' of true-ups), or all items of a price, priced together in a period."""

    subscription_id: str
    item_id: str
    period_start: datetime
    price_id: str = ""
    period_end: datetime | None = None


@dataclass(slots=True)
class Before:
    """What lines of the same came to, what of that was never charged, and how what charged most was taxed."""

    amount_minor: int = 0
    uncharged_minor: int = 0
    taxes: Sequence[Mapping[str, Any]] | None = None
    exemption: str = ""
    tax_category: str = ""


class Invoiced:
    """What invoices have of what is given back: `settle` a draft's lines, then `add` the draft."""

    def __init__(self, known: dict[Same, Before]) -> None:
        self._known = known

    def settle(self, lines: Sequence[DraftLine]) -> list[DraftLine]:
        settled = [self._settled(line) if _gives_back(line) else line for line in lines]
        return [_instead(line, settled) if _trues_up(line) else line for line in settled]

    def add(self, made: Draft) -> None:
        for line, result in zip(made.lines, made.results, strict=True):
            before = self._known.get(_same(line))
            if before is not None and not (line.settled and _gives_back(line)):
                before.amount_minor += line.amount_minor
                before.uncharged_minor += result.discount_minor + result.credit_minor

    def _settled(self, line: DraftLine) -> DraftLine:
        before = self._known[_same(line)]
        if not before.amount_minor:
            return line
        part_minor = uncharged_part(-line.amount_minor, before.amount_minor, before.uncharged_minor)
        evidence = {
            **(line.evidence or {}),
            "invoiced_minor": before.amount_minor,
            "uncharged_minor": before.uncharged_minor,
        }
        before.amount_minor += line.amount_minor
        before.uncharged_minor -= part_minor
        category = line.tax_category if before.taxes is None else before.tax_category
        settled = Settled(-part_minor, before.taxes, before.exemption)
        return replace(line, settled=settled, tax_category=category, evidence=evidence)


async def load(tx: Transaction, lines: Iterable[DraftLine]) -> Invoiced:
    """What earlier invoices have of the same as the lines that give back: as a rule, none does."""
    known = {_same(line): Before() for line in lines if _gives_back(line)}
    return Invoiced(known | await invoiced_before(tx, known) if known else known)


async def invoiced_before(tx: Transaction, wanted: Iterable[Same]) -> dict[Same, Before]:
    """Of each that invoices have something of."""
    same = list(wanted)
    rows = await invoice_sql.list_invoiced_before(
        tx,
        tenant_id=tx.tenant_id,
        subscription_ids=[one.subscription_id for one in same],
        item_ids=[one.item_id for one in same],
        price_ids=[one.price_id for one in same],
        period_starts=[one.period_start for one in same],
        period_ends=[one.period_end or one.period_start for one in same],
    )
    return {
        same[row.place - 1]: Before(
            row.amount_minor,
            row.uncharged_minor,
            row.taxes,
            row.tax_exemption or "",
            row.tax_category or "",
        )
        for row in rows
    }


def _instead(line: DraftLine, lines: Sequence[DraftLine]) -> DraftLine:
    """A true-up that only takes the place of what is taken back has the discounts of that."""
    taken = [
        one
        for one in lines
        if one.settled is not None
        and one.subscription_id == line.subscription_id
        and line.period_start <= one.period_start < line.period_end
    ]
    taken_minor = -sum(one.amount_minor for one in taken)
    if taken_minor < line.amount_minor:
        return line
    never_minor = -sum(one.settled.discount_minor for one in taken if one.settled)
    discount_minor = uncharged_of(line.amount_minor, taken_minor, never_minor)
    evidence = {
        **(line.evidence or {}),
        "invoiced_minor": 0,
        "rated_minor": taken_minor,
        "rated_uncharged_minor": never_minor,
    }
    return replace(line, settled=Settled(discount_minor, None), evidence=evidence)


def _trues_up(line: DraftLine) -> bool:
    return line.type == TRUE_UP and line.amount_minor > 0


def _gives_back(line: DraftLine) -> bool:
    return line.amount_minor < 0


def _same(line: DraftLine) -> Same:
    if line.together is not None:
        return Same(line.subscription_id, "", line.together.start, line.price_id, line.together.end)
    return Same(line.subscription_id, line.subscription_item_id, line.period_start)
