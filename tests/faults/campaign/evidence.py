"""What the checker judges by: what clients were told, what the database holds, what receivers got."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
from billing.audit.v1 import audit_service_pb2 as rpc

from corebilling.db.transaction import Transaction
from corebilling.domains.audit.signing import HeadSigner, TrustedKeys
from corebilling.domains.audit.verification import Verification
from corebilling.secrets import Secrets, load_master_key
from corebilling.values.caller import Caller
from tests.faults.campaign.load import Journal, Sink
from tests.support.platform import MASTER_KEY


@dataclass(frozen=True)
class Logged:
    """A row of the event log; the rows come in the order of their positions."""

    event_id: str
    tenant_id: str
    ordering_key: str
    resource_id: str
    version: int
    subject: str
    correlation_id: str


@dataclass(frozen=True)
class Effect:
    """What the witness handler left behind; in the order it did."""

    event_id: str
    tenant_id: str


@dataclass(frozen=True)
class Invoice:
    subscription_id: str
    tenant_id: str
    period: str
    number: str
    total_minor: int


@dataclass(frozen=True)
class Evidence:
    published: Sequence[tuple[str, str]]
    usage_told: Mapping[str, Decimal]
    invoices_told: Mapping[str, Sequence[int]]
    log: Sequence[Logged]
    effects: Sequence[Effect]
    unfinished: Sequence[str]
    """What still waits somewhere, in words."""
    dead_letters: Sequence[str]
    usage_records: Mapping[str, Decimal]
    usage_totals: Mapping[str, Decimal]
    usage_keys: int
    record_count: int
    invoices: Sequence[Invoice]
    journals: Mapping[str, int]
    """Debits less credits, by journal and currency."""
    journal_sources: Sequence[str]
    receivable: Mapping[str, int]
    """Balance of the receivable account, by tenant."""
    books: Sequence[tuple[str, str, str, int, int]]
    """(tenant, what, customer and currency, what records say, what the books say)"""
    deliveries: Sequence[tuple[str, str]]
    """(event id, state)"""
    received: Sequence[tuple[str, str, bool]]
    webhook_tenant_id: str
    changes: Sequence[tuple[str, str, str]]
    """(tenant id, what was called, request id), as it was answered"""
    audited: Sequence[tuple[str, str, str]]
    """The same, as the audit log has it."""
    audit_findings: Sequence[str]
    """What is wrong with its chains, in words."""


UNFINISHED = """
SELECT 'event ' || e.id || ' waits for the dispatcher' AS what
FROM outbox_shards s
JOIN billing_events e ON e.shard = s.shard AND (e.epoch, e.xid, e.seq) > (s.epoch, s.xid, s.seq)
UNION ALL
SELECT 'event ' || e.id || ' waits for ' || w.handler
FROM event_watermarks w
JOIN billing_events e ON e.shard = w.shard AND (e.epoch, e.xid, e.seq) > (w.epoch, w.xid, w.seq)
UNION ALL
SELECT 'event ' || f.event_id || ' failed in ' || f.handler || ': ' || f.error
FROM event_handler_failures f WHERE f.state <> 'dead_letter'
UNION ALL
SELECT 'event ' || f.event_id || ' was refused by the bus: ' || f.error
FROM outbox_failures f WHERE f.state = 'failed'
UNION ALL
SELECT 'delivery ' || d.id || ' is pending after ' || d.attempts || ' attempts, due ' || d.next_attempt_at
    || ' ' || d.last_error
FROM webhook_deliveries d WHERE d.state = 'pending'
UNION ALL
SELECT 'audit entry ' || e.id || ' is not sealed'
FROM audit_entries e
WHERE NOT EXISTS (SELECT FROM audit_seals s WHERE s.tenant_id = e.tenant_id AND s.audit_id = e.id)
"""

DEAD_LETTERS = """
SELECT f.handler || ' gave up ' || f.event_id || ': ' || f.error AS what
FROM event_handler_failures f WHERE f.state = 'dead_letter'
UNION ALL
SELECT 'the bus never took ' || f.event_id || ': ' || f.error
FROM outbox_failures f WHERE f.state = 'dead_letter'
"""

LOG = """
SELECT e.id, e.tenant_id, e.ordering_key, e.resource_id, e.resource_version, e.subject, e.correlation_id
FROM billing_events e ORDER BY e.shard, e.epoch, e.xid, e.seq
"""

USAGE_RECORDS = """
SELECT t.subscription_id, sum(r.quantity) AS quantity
FROM usage_records r
JOIN (SELECT DISTINCT subscription_item_id, subscription_id FROM usage_totals) t USING (subscription_item_id)
GROUP BY t.subscription_id
"""

JOURNALS = """
SELECT e.journal_id || ' ' || e.currency AS journal,
    sum(CASE e.direction WHEN 'debit' THEN e.amount_minor ELSE -e.amount_minor END)::bigint AS balance
FROM ledger_entries e GROUP BY e.journal_id, e.currency
"""

RECEIVABLE = """
SELECT e.tenant_id,
    sum(CASE e.direction WHEN 'debit' THEN e.amount_minor ELSE -e.amount_minor END)::bigint AS balance
FROM ledger_entries e JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
WHERE a.type = 'receivable' GROUP BY e.tenant_id
"""

# What each customer's accounts stand at, beside the records that they are about. Written anew here: the
# platform's own proof of its books is not believed.
BOOKS = """
WITH accounts AS (
    SELECT j.tenant_id, a.type, j.customer_id || ' ' || e.currency AS whose,
        sum(CASE e.direction WHEN 'debit' THEN e.amount_minor ELSE -e.amount_minor END) AS minor
    FROM ledger_entries e
    JOIN ledger_journals j ON j.tenant_id = e.tenant_id AND j.id = e.journal_id
    JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
    GROUP BY 1, 2, 3
), final AS (
    SELECT *, customer_id || ' ' || currency AS whose
    FROM invoices WHERE state IN ('open', 'paid', 'uncollectible')
), records AS (
    SELECT tenant_id, 'receivable' AS type, whose, amount_due_minor AS minor
    FROM final WHERE state = 'open'
    UNION ALL
    SELECT tenant_id, 'tax_payable', whose, -tax_minor FROM final
    UNION ALL
    SELECT tenant_id, 'tax_payable', customer_id || ' ' || currency, tax_minor FROM credit_notes
    UNION ALL
    SELECT tenant_id, 'customer_credit', customer_id || ' ' || currency, -remaining_minor FROM credits
    UNION ALL
    SELECT tenant_id, 'customer_credit', customer_id || ' ' || currency, -credit_minor - prepaid_minor
    FROM invoices WHERE state = 'draft'
    UNION ALL
    SELECT tenant_id, 'deferred_revenue', customer_id || ' ' || currency, -remaining_minor
    FROM revenue_deferrals
    UNION ALL
    -- Recognized month by month: what was credited, part for part.
    SELECT d.tenant_id, 'recognized', d.customer_id || ' ' || d.currency, -r.amount_minor
    FROM revenue_recognitions r JOIN revenue_deferrals d USING (tenant_id, invoice_line_id)
), posted AS (
    SELECT tenant_id, type, whose, minor FROM accounts
    WHERE type IN ('receivable', 'tax_payable', 'customer_credit', 'deferred_revenue')
    UNION ALL
    SELECT j.tenant_id, 'recognized', j.customer_id || ' ' || e.currency,
        CASE e.direction WHEN 'debit' THEN e.amount_minor ELSE -e.amount_minor END
    FROM ledger_journals j
    JOIN ledger_entries e ON e.tenant_id = j.tenant_id AND e.journal_id = j.id
    JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
    WHERE j.source_type = 'revenue.recognized' AND a.type = 'revenue'
)
SELECT tenant_id, type, whose, sum(told)::bigint, sum(found)::bigint
FROM (
    SELECT tenant_id, type, whose, minor AS told, 0 AS found FROM records
    UNION ALL
    SELECT tenant_id, type, whose, 0, minor FROM posted
) x
GROUP BY 1, 2, 3
"""


async def unfinished(connection: asyncpg.Connection) -> list[str]:
    return [row["what"] for row in await connection.fetch(UNFINISHED)]


async def gather(connection: asyncpg.Connection, journal: Journal, sink: Sink) -> Evidence:
    """Reads it all. The connection is a superuser's: nothing is hidden from the checker."""

    async def sums(sql: str) -> dict[str, Decimal]:
        return {row[0]: row[1] for row in await connection.fetch(sql)}

    return Evidence(
        published=tuple(journal.published),
        usage_told=dict(journal.usage),
        invoices_told={name: tuple(totals) for name, totals in journal.invoices.items()},
        log=[Logged(*row) for row in await connection.fetch(LOG)],
        effects=[
            Effect(*row)
            for row in await connection.fetch("SELECT event_id, tenant_id FROM campaign_effects ORDER BY nr")
        ],
        unfinished=await unfinished(connection),
        dead_letters=[row["what"] for row in await connection.fetch(DEAD_LETTERS)],
        usage_records=await sums(USAGE_RECORDS),
        usage_totals=await sums(
            "SELECT subscription_id, sum(quantity_sum) FROM usage_totals GROUP BY subscription_id"
        ),
        usage_keys=await connection.fetchval("SELECT count(*) FROM usage_keys"),
        record_count=await connection.fetchval(
            "SELECT coalesce(sum(record_count), 0)::bigint FROM usage_totals"
        ),
        invoices=[
            Invoice(*row)
            for row in await connection.fetch(
                "SELECT subscription_id, tenant_id, period_start::text, coalesce(number, ''), total_minor "
                "FROM invoices ORDER BY period_start"
            )
        ],
        journals={row[0]: row[1] for row in await connection.fetch(JOURNALS)},
        journal_sources=[
            row[0]
            for row in await connection.fetch(
                "SELECT tenant_id || ' ' || source_type || ' ' || source_id FROM ledger_journals"
            )
        ],
        receivable={row[0]: row[1] for row in await connection.fetch(RECEIVABLE)},
        books=[tuple(row) for row in await connection.fetch(BOOKS)],
        deliveries=[
            tuple(row) for row in await connection.fetch("SELECT event_id, state FROM webhook_deliveries")
        ],
        received=tuple(sink.received),
        webhook_tenant_id=await connection.fetchval("SELECT min(tenant_id) FROM webhooks"),
        changes=tuple(journal.changes),
        audited=[
            tuple(row)
            for row in await connection.fetch(
                "SELECT tenant_id, split_part(action, '/', 2), request_id FROM audit_entries"
            )
        ],
        audit_findings=await _audit_findings(connection),
    )


async def _audit_findings(connection: asyncpg.Connection) -> list[str]:
    """By the platform's own proof: that it sees everything is shown in test_audit_tampering.py."""
    key = HeadSigner(Secrets(load_master_key(MASTER_KEY, None)).audit_seed).public_key
    found = []
    for row in await connection.fetch("SELECT id FROM tenants ORDER BY id"):
        caller = Caller(row["id"], actor="checker", role="checker", permissions=frozenset())
        tx = Transaction(connection, caller, "", datetime.now(UTC))  # type: ignore[arg-type] # of no pool
        verification = Verification(row["id"], TrustedKeys([key]), timedelta(0), None)
        while not verification.complete:
            answer = await verification.step(tx, rpc.VerifyAuditLogRequest())
            found += [f"{row['id']}: {finding}".replace("\n", " ") for finding in answer.findings]
    return found
