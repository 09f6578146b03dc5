"""The judge of the campaign. It knows the promises and the evidence, and nothing of how the platform works.

A  every acknowledged change took effect         F  no row crosses tenants
B  every effect happened once                    H  everything that began has ended
C  effects of one key came in the log's order    I  every webhook arrived validly, or is a dead letter
D  the ledger balances and agrees with invoices  J  invoices equal the oracle's, numbered without gaps
E  one invoice per subscription and period       K  usage told = records = totals
G  each change is audited once, sealed and sound L  each account says what its records say
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

from tests.faults.campaign.evidence import Evidence


class Violation(NamedTuple):
    promise: str
    what: str


T = TypeVar("T", bound=Hashable)

Check = Callable[[Evidence], Iterator[str]]


def check(evidence: Evidence) -> list[Violation]:
    """Every broken promise, in words; empty when all were kept."""
    return [Violation(promise, what) for promise, found in CHECKS for what in found(evidence)]


def acknowledged_took_effect(evidence: Evidence) -> Iterator[str]:
    logged = {row.event_id for row in evidence.log}
    for event_id, resource_id in evidence.published:
        if event_id not in logged:
            yield f"acknowledged event {event_id} of {resource_id} is not in the log"
    handled = {effect.event_id for effect in evidence.effects}
    for row in evidence.log:
        if row.event_id not in handled:
            yield f"{row.subject} {row.event_id} never reached the handler"
    yield from evidence.dead_letters


def effects_happened_once(evidence: Evidence) -> Iterator[str]:
    for event_id in _repeated(effect.event_id for effect in evidence.effects):
        yield f"event {event_id} took effect more than once"
    for event_id in _repeated(row.event_id for row in evidence.log):
        yield f"event {event_id} is in the log more than once"
    for event_id in _repeated(event_id for event_id, _ in evidence.published):
        yield f"two requests were answered with the same event {event_id}"
    for event_id in _repeated(event_id for event_id, _ in evidence.deliveries):
        yield f"event {event_id} has two deliveries to the one endpoint"
    for source in _repeated(evidence.journal_sources):
        yield f"{source} was posted twice"


def order_was_kept(evidence: Evidence) -> Iterator[str]:
    seen = {effect.event_id: number for number, effect in reversed(list(enumerate(evidence.effects)))}
    by_key = defaultdict(list)
    for row in evidence.log:
        if row.event_id in seen:
            by_key[row.tenant_id, row.ordering_key].append(row)
    for (_, key), rows in by_key.items():
        for earlier, later in pairwise(rows):
            if seen[earlier.event_id] > seen[later.event_id]:
                yield f"{key}: {later.event_id} took effect before {earlier.event_id}"
    versions = {row.event_id: row.version for row in evidence.log}
    told: dict[str, list[int]] = defaultdict(list)
    for event_id, resource_id in evidence.published:
        if event_id in versions:
            told[resource_id].append(versions[event_id])
    for resource_id, of_resource in told.items():
        if any(later <= earlier for earlier, later in pairwise(of_resource)):
            yield f"versions of {resource_id} do not rise with the answers"


def ledger_balances(evidence: Evidence) -> Iterator[str]:
    for journal, balance in evidence.journals.items():
        if balance:
            yield f"journal {journal} is off by {balance}"
    owed: Counter[str] = Counter()
    for invoice in evidence.invoices:
        owed[invoice.tenant_id] += invoice.total_minor
    for tenant_id in owed.keys() | evidence.receivable.keys():
        receivable = evidence.receivable.get(tenant_id, 0)
        if owed[tenant_id] != receivable:
            yield f"{tenant_id}: invoices say {owed[tenant_id]}, receivable {receivable}"


def one_invoice_per_period(evidence: Evidence) -> Iterator[str]:
    for subscription_id, period in _repeated(
        (invoice.subscription_id, invoice.period) for invoice in evidence.invoices
    ):
        yield f"{subscription_id} has two invoices for the period from {period}"


def tenants_stay_apart(evidence: Evidence) -> Iterator[str]:
    owner = {row.event_id: row.tenant_id for row in evidence.log}
    for effect in evidence.effects:
        if owner.get(effect.event_id, effect.tenant_id) != effect.tenant_id:
            yield f"{effect.event_id} of {owner[effect.event_id]} was handled as {effect.tenant_id}"
    for event_id, tenant_id, _ in evidence.received:
        if tenant_id != evidence.webhook_tenant_id or owner.get(event_id) != evidence.webhook_tenant_id:
            yield f"the receiver of {evidence.webhook_tenant_id} got {event_id} of {owner.get(event_id)}"


def changes_are_audited(evidence: Evidence) -> Iterator[str]:
    told, audited = Counter(evidence.changes), Counter(evidence.audited)
    for change in told.keys() | audited.keys():
        if told[change] != audited[change]:
            yield f"{' '.join(change)}: answered {told[change]} times, audited {audited[change]} times"
    yield from evidence.audit_findings


def all_has_ended(evidence: Evidence) -> Iterator[str]:
    yield from evidence.unfinished


def webhooks_arrived(evidence: Evidence) -> Iterator[str]:
    state = dict(evidence.deliveries)
    valid = {event_id for event_id, _, is_valid in evidence.received if is_valid}
    for event_id, _ in evidence.published:
        if event_id not in state:
            yield f"event {event_id} has no delivery"
        elif event_id not in valid and state[event_id] != "dead":
            yield f"event {event_id} is {state[event_id]}, and never arrived with a valid signature"
    for event_id, _, is_valid in evidence.received:
        if not is_valid:
            yield f"event {event_id} arrived with a wrong signature"


def invoices_equal_the_oracle(evidence: Evidence) -> Iterator[str]:
    totals: dict[str, list[int]] = defaultdict(list)
    for invoice in evidence.invoices:
        totals[invoice.subscription_id].append(invoice.total_minor)
    for subscription_id in totals.keys() | evidence.invoices_told.keys():
        expected = list(evidence.invoices_told.get(subscription_id, ()))
        if totals[subscription_id] != expected:
            yield f"{subscription_id}: billed {totals[subscription_id]}, expected {expected}"
    numbers = defaultdict(list)
    for invoice in evidence.invoices:
        numbers[invoice.tenant_id].append(invoice.number)
    for tenant_id, given in numbers.items():
        yield from _gaps(tenant_id, given)


def usage_is_conserved(evidence: Evidence) -> Iterator[str]:
    for name, kept in (("records", evidence.usage_records), ("totals", evidence.usage_totals)):
        for subscription_id in evidence.usage_told.keys() | kept.keys():
            told, found = evidence.usage_told.get(subscription_id, 0), kept.get(subscription_id, 0)
            if told != found:
                yield f"{subscription_id}: told {told}, {name} hold {found}"
    if evidence.usage_keys != evidence.record_count:
        yield f"{evidence.usage_keys} keys, but totals count {evidence.record_count} records"


def books_agree_with_records(evidence: Evidence) -> Iterator[str]:
    for tenant_id, account, whose, told, found in evidence.books:
        if told != found:
            yield f"{tenant_id}: {account} of {whose} is {found}, its records say {told}"


CHECKS: Sequence[tuple[str, Check]] = (
    ("A", acknowledged_took_effect),
    ("B", effects_happened_once),
    ("C", order_was_kept),
    ("D", ledger_balances),
    ("E", one_invoice_per_period),
    ("F", tenants_stay_apart),
    ("G", changes_are_audited),
    ("H", all_has_ended),
    ("I", webhooks_arrived),
    ("J", invoices_equal_the_oracle),
    ("K", usage_is_conserved),
    ("L", books_agree_with_records),
)


def _repeated(values: Iterable[T]) -> list[T]:
    return [value for value, count in Counter(values).items() if count > 1]


def _gaps(tenant_id: str, numbers: Sequence[str]) -> Iterator[str]:
    """Numbers are PREFIX-YEAR-000001, …: dense within each year."""
    by_year = defaultdict(list)
    for number in numbers:
        year, _, count = number.rpartition("-")
        by_year[year].append(int(count or 0))
    for year, counts in by_year.items():
        if sorted(counts) != list(range(1, len(counts) + 1)):
            yield f"{tenant_id}: numbers of {year} have gaps or repeat: {sorted(counts)}"
