"""Lines below zero give back no more than was charged.

What discounts and credits took off, credit notes gave back, or was withdrawn or written off with its invoice,
is not given back. A line that takes an amount back has its part of that for a discount below zero, comes to
what the customer is to have again, and is taxed as what was charged had been.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from billing_db import invoice as invoice_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice.draft import Draft, DraftLine
from corebilling.domains.invoice.reckoning import Settled
from corebilling.domains.invoice.true_up import TRUE_UP
from corebilling.values.discount import uncharged_of, uncharged_part

Same = tuple[str, str, datetime]
"""What lines are of: a subscription, its item ('' of true-ups), and when their period begins."""


@dataclass(slots=True)
class _Invoiced:
    """What lines of the same came to, what of that was never charged, and how the newest was taxed."""

    amount_minor: int = 0
    uncharged_minor: int = 0
    taxes: Sequence[Mapping[str, Any]] | None = None
    exemption: str = ""


class Invoiced:
    """What invoices have of what is given back: `settle` a draft's lines, then `add` the draft."""

    def __init__(self, known: dict[Same, _Invoiced]) -> None:
        self._known = known

    def settle(self, lines: Sequence[DraftLine]) -> list[DraftLine]:
        settled = [self._settled(line) if _gives_back(line) else line for line in lines]
        return [_instead(line, settled) if _trues_up(line) else line for line in settled]

    def add(self, made: Draft) -> None:
        for line, result in zip(made.lines, made.results, strict=True):
            invoiced = self._known.get(_same(line))
            if invoiced is not None:
                invoiced.amount_minor += line.amount_minor
                invoiced.uncharged_minor += result.discount_minor + result.credit_minor

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
        return replace(line, settled=Settled(-part_minor, before.taxes, before.exemption), evidence=evidence)


async def load(tx: Transaction, lines: Iterable[DraftLine]) -> Invoiced:
    """What earlier invoices have of the same as the lines that give back: as a rule, none does."""
    known = {_same(line): _Invoiced() for line in lines if _gives_back(line)}
    if known:
        rows = await invoice_sql.list_invoiced_before(
            tx,
            tenant_id=tx.tenant_id,
            subscription_ids=[subscription_id for subscription_id, _, _ in known],
            item_ids=[item_id for _, item_id, _ in known],
            period_starts=[start for _, _, start in known],
        )
        for row in rows:
            same = (row.subscription_id, row.subscription_item_id, row.period_start)
            known[same] = _Invoiced(row.amount_minor, row.uncharged_minor, row.taxes, row.tax_exemption or "")
    return Invoiced(known)


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
    return line.subscription_id, line.subscription_item_id, line.period_start
