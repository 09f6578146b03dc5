-- name: ListAccounts :many
SELECT * FROM ledger_accounts WHERE tenant_id = sqlc.arg(tenant_id) ORDER BY currency, type;

-- name: InsertAccounts :exec
-- Those that are missing; another transaction may be making the same. The arrays run in parallel.
INSERT INTO ledger_accounts (tenant_id, id, type, currency)
SELECT sqlc.arg(tenant_id), n.id, n.type, n.currency
FROM (
    SELECT
        unnest(sqlc.arg(ids)::text[]) AS id,
        unnest(sqlc.arg(types)::text[]) AS type,
        unnest(sqlc.arg(currencies)::text[]) AS currency
) n
ON CONFLICT ON CONSTRAINT ledger_accounts_once DO NOTHING;

-- name: InsertJournals :many
-- Journals with their entries; returns those whose source was not posted before. Of both, the arrays run in
-- parallel; '' reverses nothing.
WITH posted AS (
    INSERT INTO ledger_journals (
        tenant_id, id, source_type, source_id, customer_id, reverses_journal_id, posted_at, created_at
    )
    SELECT
        sqlc.arg(tenant_id), n.id, n.source_type, n.source_id, n.customer_id, nullif(n.reverses_journal_id, ''),
        n.posted_at, sqlc.arg(created_at)
    FROM (
        SELECT
            unnest(sqlc.arg(ids)::text[]) AS id,
            unnest(sqlc.arg(source_types)::text[]) AS source_type,
            unnest(sqlc.arg(source_ids)::text[]) AS source_id,
            unnest(sqlc.arg(customer_ids)::text[]) AS customer_id,
            unnest(sqlc.arg(reverses_journal_ids)::text[]) AS reverses_journal_id,
            unnest(sqlc.arg(posted_at)::timestamptz[]) AS posted_at
    ) n
    ON CONFLICT ON CONSTRAINT ledger_journals_once DO NOTHING
    RETURNING id
), entries AS (
    INSERT INTO ledger_entries (tenant_id, journal_id, position, account_id, direction, currency, amount_minor)
    SELECT sqlc.arg(tenant_id), p.id, e.position, e.account_id, e.direction, e.currency, e.amount_minor
    FROM posted p JOIN (
        SELECT
            unnest(sqlc.arg(entry_journal_ids)::text[]) AS journal_id,
            unnest(sqlc.arg(entry_positions)::int[]) AS position,
            unnest(sqlc.arg(entry_account_ids)::text[]) AS account_id,
            unnest(sqlc.arg(entry_directions)::text[]) AS direction,
            unnest(sqlc.arg(entry_currencies)::text[]) AS currency,
            unnest(sqlc.arg(entry_amounts_minor)::bigint[]) AS amount_minor
    ) e ON e.journal_id = p.id
)
SELECT p.id FROM posted p;

-- name: FindJournalBySource :one
SELECT * FROM ledger_journals
WHERE tenant_id = sqlc.arg(tenant_id) AND source_type = sqlc.arg(source_type) AND source_id = sqlc.arg(source_id);

-- name: FindJournal :one
SELECT * FROM ledger_journals WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListJournals :many
-- Newest first; '' means any.
SELECT * FROM ledger_journals
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(customer_id)::text = '' OR customer_id = sqlc.arg(customer_id)::text)
    AND (sqlc.arg(source_id)::text = '' OR source_id = sqlc.arg(source_id)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListEntries :many
-- Of several journals at once, each journal's in its own order.
SELECT e.journal_id, e.account_id, a.type AS account_type, e.direction, e.currency, e.amount_minor
FROM ledger_entries e JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
WHERE e.tenant_id = sqlc.arg(tenant_id) AND e.journal_id = ANY (sqlc.arg(journal_ids)::text[])
ORDER BY e.journal_id, e.position;

-- name: ListBalances :many
-- Every account's sums, recomputed from all entries.
SELECT
    a.id AS account_id, a.type AS account_type, a.currency,
    coalesce(sum(e.amount_minor) FILTER (WHERE e.direction = 'debit'), 0)::numeric AS debit_minor,
    coalesce(sum(e.amount_minor) FILTER (WHERE e.direction = 'credit'), 0)::numeric AS credit_minor
FROM ledger_accounts a
LEFT JOIN ledger_entries e ON e.tenant_id = a.tenant_id AND e.account_id = a.id
WHERE a.tenant_id = sqlc.arg(tenant_id)
GROUP BY a.id, a.type, a.currency
ORDER BY a.currency, a.type;
