"""What may be given back, withdrawn, or written off, where corrections gave back some: the rest of what was
charged."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from billing_db import invoice as invoice_sql
from billing_db.models import CreditNote as CreditNoteRow
from billing_db.models import InvoiceLine

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice.giving_back import Same, invoiced_before
from corebilling.errors import FailedPrecondition, InvalidArgument
from corebilling.mapping import moment_of
from corebilling.values.credit_note import CreditNote
from corebilling.values.money import round_number
from corebilling.values.period import Period


class Room:
    """What is left of what all invoices charged, by what it was charged for: `fit` items, or `check` them.

    Items are amounts of lines, by the line's id, as of a credit note.
    """

    def __init__(
        self,
        lines: Sequence[InvoiceLine],
        same: Mapping[str, Same],
        earlier: Sequence[CreditNote],
        charged: Mapping[Same, int],
    ) -> None:
        self._lines = lines
        self._same = same
        self._earlier = earlier
        self._charged = charged

    def fit(self, items: Mapping[str, int]) -> dict[str, int]:
        """As much of the items as may be given back; what takes back again makes room for the others."""
        room, fitting = dict(self._charged), {}
        for line in sorted(self._lines, key=lambda line: items.get(line.id, 0) > 0):
            amount_minor, same = items.get(line.id, 0), self._same[line.id]
            if same in room and amount_minor > 0:
                amount_minor = min(amount_minor, _most(line, room[same]))
            if amount_minor:
                fitting[line.id] = amount_minor
                if same in room:
                    room[same] -= self._charge(line, amount_minor)
        return fitting

    def check(self, items: Mapping[str, int]) -> None:
        """Raises InvalidArgument: CREDIT_EXCEEDS_INVOICE when corrections gave back some of it."""
        taken: dict[Same, int] = defaultdict(int)
        for line in self._lines:
            taken[self._same[line.id]] += self._charge(line, items.get(line.id, 0))
        for line in self._lines:
            same = self._same[line.id]
            if same in self._charged and taken[same] > max(0, self._charged[same]):
                raise _gave_back(line.id, self.fit(items).get(line.id, 0))

    def check_uncorrected(self) -> None:
        """Raises FailedPrecondition: INVOICE_HAS_CORRECTIONS when corrections gave back some of it."""
        taken: dict[Same, int] = defaultdict(int)
        for line in self._lines:
            taken[self._same[line.id]] += _charged(line)
        for line in self._lines:
            same = self._same[line.id]
            if taken[same] > self._charged.get(same, taken[same]):
                raise _has_corrections(
                    line,
                    "Corrections gave back some of what the invoice charged; give back the rest with a "
                    "credit note, once it is finalized.",
                )

    def check_corrects_nothing(self) -> None:
        """Raises FailedPrecondition: INVOICE_HAS_CORRECTIONS when it gives some back itself."""
        for line in self._lines:
            if (line.evidence or {}).get("invoiced_minor") and _charged(line) < 0:
                raise _has_corrections(
                    line,
                    "The invoice gives back what was corrected, which would be lost; issue it again, or give "
                    "back its other lines with a credit note, once it is finalized.",
                )

    def left_of(self, total_minor: int) -> int:
        """Of a total over what notes left of the lines, what corrections left of it; rounded up."""
        own: dict[Same, int] = defaultdict(int)
        for line in self._lines:
            own[self._same[line.id]] += self._charge(line, line.amount_minor - self._noted(line))
        net_minor = sum(own.values())
        left_minor = sum(min(minor, self._charged.get(same, minor)) for same, minor in own.items())
        if left_minor >= net_minor or net_minor <= 0:
            return total_minor
        return max(0, -(-total_minor * left_minor // net_minor))

    def _charge(self, line: InvoiceLine, part_minor: int) -> int:
        """What a further part of the line's amount was charged with: as corrections will see it."""
        before_minor = self._noted(line)
        return _charge(line, before_minor + part_minor) - _charge(line, before_minor)

    def _noted(self, line: InvoiceLine) -> int:
        return sum(note.items.get(line.id, 0) for note in self._earlier)


async def room_of(tx: Transaction, lines: Sequence[InvoiceLine], earlier: Sequence[CreditNote]) -> Room:
    """Reads what all invoices charged for the same as the lines of one."""
    together = {
        row.line_id: Period(moment_of(row.full_period["start"]), moment_of(row.full_period["end"]))
        for row in await invoice_sql.list_priced_together(
            tx, tenant_id=tx.tenant_id, invoice_id=lines[0].invoice_id
        )
    }
    same = {line.id: _same(line, together.get(line.id)) for line in lines}
    before = await invoiced_before(tx, {same[line.id] for line in lines if line.subscription_id})
    charged = {one: known.amount_minor - known.uncharged_minor for one, known in before.items()}
    return Room(lines, same, earlier, charged)


def notes_of(rows: Iterable[CreditNoteRow]) -> list[CreditNote]:
    return [
        CreditNote(
            {item["invoice_line_id"]: int(item["amount_minor"]) for item in row.items},
            row.discount_minor,
            row.tax_minor,
        )
        for row in rows
    ]


def _same(line: InvoiceLine, together: Period | None) -> Same:
    if together is not None:
        return Same(line.subscription_id or "", "", together.start, line.price_id or "", together.end)
    return Same(line.subscription_id or "", line.subscription_item_id or "", line.period_start)


def _charge(line: InvoiceLine, part_minor: int) -> int:
    """Of a part of the line's amount, what it was charged with: as `uncharged_minor` in SQL rounds it."""
    if not part_minor:
        return 0
    return round_number(Fraction(_charged(line) * part_minor, line.amount_minor))


def _charged(line: InvoiceLine) -> int:
    """What discounts, and credits before tax, left of it."""
    return line.amount_minor - line.discount_minor - line.credit_minor


def _most(line: InvoiceLine, room_minor: int) -> int:
    """How much of the line's amount was charged with no more than that."""
    charged_minor = _charged(line)
    if charged_minor <= 0:
        return line.amount_minor
    return max(0, room_minor) * line.amount_minor // charged_minor


def _has_corrections(line: InvoiceLine, message: str) -> FailedPrecondition:
    return FailedPrecondition("INVOICE_HAS_CORRECTIONS", message, {"line_id": line.id})


def _gave_back(line_id: str, left_minor: int) -> InvalidArgument:
    return InvalidArgument(
        "CREDIT_EXCEEDS_INVOICE",
        "Corrections of its usage or price gave back some of what the line charged; a credit note gives back "
        "the rest at most.",
        {"line_id": line_id, "creditable_minor": str(left_minor)},
    )
