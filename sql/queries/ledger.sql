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
    RETURNING id, posted_at
), entries AS (
    INSERT INTO ledger_entries (
        tenant_id, journal_id, position, account_id, direction, currency, amount_minor, posted_at
    )
    SELECT
        sqlc.arg(tenant_id), p.id, e.position, e.account_id, e.direction, e.currency, e.amount_minor, p.posted_at
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
-- The sums of every account, or of one, up to a time: recomputed from its entries, account by account, so that each
-- is read from the index alone.
SELECT a.id AS account_id, a.type AS account_type, a.currency, s.debit_minor, s.credit_minor
FROM ledger_accounts a
CROSS JOIN LATERAL (
    SELECT
        coalesce(sum(e.amount_minor) FILTER (WHERE e.direction = 'debit'), 0)::numeric AS debit_minor,
        coalesce(sum(e.amount_minor) FILTER (WHERE e.direction = 'credit'), 0)::numeric AS credit_minor
    FROM ledger_entries e
    WHERE e.tenant_id = a.tenant_id AND e.account_id = a.id
        AND e.posted_at <= coalesce(sqlc.narg(as_of)::timestamptz, 'infinity')
) s
WHERE a.tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(account_id)::text = '' OR a.id = sqlc.arg(account_id)::text)
ORDER BY a.currency, a.type;

-- name: FindAccount :one
SELECT * FROM ledger_accounts WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: GetCustomerSums :one
-- What a customer owed, and had in credits: before a period, after it, and up to a journal within it.
SELECT
    coalesce(sum(s.opening * s.owed * e.amount_minor), 0)::numeric AS opening_owed_minor,
    coalesce(sum(s.opening * s.credit * e.amount_minor), 0)::numeric AS opening_credit_minor,
    coalesce(sum(s.owed * e.amount_minor), 0)::numeric AS closing_owed_minor,
    coalesce(sum(s.credit * e.amount_minor), 0)::numeric AS closing_credit_minor,
    coalesce(sum(s.told * s.owed * e.amount_minor), 0)::numeric AS told_owed_minor,
    coalesce(sum(s.told * s.credit * e.amount_minor), 0)::numeric AS told_credit_minor
FROM ledger_journals j
JOIN ledger_entries e ON e.tenant_id = j.tenant_id AND e.journal_id = j.id
JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
CROSS JOIN LATERAL (
    -- Factors: whether it counts, and on which side.
    SELECT
        (j.posted_at < sqlc.arg(period_start))::int AS opening,
        (
            j.posted_at < sqlc.arg(period_start)
            OR (j.posted_at, j.id) <= (sqlc.arg(after_posted_at)::timestamptz, sqlc.arg(after)::text)
        )::int AS told,
        (a.type = 'receivable')::int * CASE e.direction WHEN 'debit' THEN 1 ELSE -1 END AS owed,
        (a.type = 'customer_credit')::int * CASE e.direction WHEN 'debit' THEN -1 ELSE 1 END AS credit
) s
WHERE j.tenant_id = sqlc.arg(tenant_id) AND j.customer_id = sqlc.arg(customer_id)
    AND j.posted_at < sqlc.arg(period_end) AND e.currency = sqlc.arg(currency);

-- name: ListStatementLines :many
-- A customer's journals within a period that changed what was owed, or left of credits; oldest first.
-- nullable: none
SELECT
    j.id AS journal_id, j.source_type, j.source_id, j.posted_at,
    coalesce(i.number, n.number, p.number, '')::text AS number,
    e.owed_minor::numeric AS owed_minor, e.credit_minor::numeric AS credit_minor
FROM ledger_journals j
JOIN LATERAL (
    SELECT
        coalesce(sum(CASE x.direction WHEN 'debit' THEN x.amount_minor ELSE -x.amount_minor END)
            FILTER (WHERE a.type = 'receivable'), 0) AS owed_minor,
        coalesce(sum(CASE x.direction WHEN 'credit' THEN x.amount_minor ELSE -x.amount_minor END)
            FILTER (WHERE a.type = 'customer_credit'), 0) AS credit_minor
    FROM ledger_entries x
    JOIN ledger_accounts a ON a.tenant_id = x.tenant_id AND a.id = x.account_id
    WHERE x.tenant_id = j.tenant_id AND x.journal_id = j.id AND x.currency = sqlc.arg(currency)
) e ON e.owed_minor <> 0 OR e.credit_minor <> 0
LEFT JOIN invoices i ON i.tenant_id = j.tenant_id AND i.id = split_part(j.source_id, '/', 1)
LEFT JOIN credit_notes n ON n.tenant_id = j.tenant_id AND n.id = j.source_id
LEFT JOIN LATERAL (
    SELECT paid.number
    FROM invoice_payments y JOIN invoices paid ON paid.tenant_id = y.tenant_id AND paid.id = y.invoice_id
    WHERE y.tenant_id = j.tenant_id AND y.id = j.source_id
) p ON true
WHERE j.tenant_id = sqlc.arg(tenant_id) AND j.customer_id = sqlc.arg(customer_id)
    AND j.posted_at >= sqlc.arg(period_start) AND j.posted_at < sqlc.arg(period_end)
    AND (j.posted_at, j.id) > (sqlc.arg(after_posted_at)::timestamptz, sqlc.arg(after)::text)
ORDER BY j.posted_at, j.id
LIMIT sqlc.arg(limit_rows)::int;

-- name: GetAccountSums :one
-- What an account stood at: before a period, after it, and up to an entry within it. Read from the index alone.
SELECT
    coalesce(sum(s.opening * s.sign * e.amount_minor), 0)::numeric AS opening_minor,
    coalesce(sum(s.sign * e.amount_minor), 0)::numeric AS closing_minor,
    coalesce(sum(s.told * s.sign * e.amount_minor), 0)::numeric AS told_minor
FROM ledger_entries e
CROSS JOIN LATERAL (
    SELECT
        (e.posted_at < sqlc.arg(period_start))::int AS opening,
        (
            e.posted_at < sqlc.arg(period_start)
            OR (e.posted_at, e.journal_id, e.position) <=
                (sqlc.arg(after_posted_at)::timestamptz, sqlc.arg(after)::text, sqlc.arg(after_position)::int)
        )::int AS told,
        CASE e.direction WHEN 'debit' THEN 1 ELSE -1 END AS sign
) s
WHERE e.tenant_id = sqlc.arg(tenant_id) AND e.account_id = sqlc.arg(account_id)
    AND e.posted_at < sqlc.arg(period_end);

-- name: ListAccountLines :many
-- An account's entries within a period, oldest first.
SELECT
    e.journal_id, e.position, j.source_type, j.source_id, j.customer_id, e.posted_at, e.direction, e.amount_minor
FROM ledger_entries e JOIN ledger_journals j ON j.tenant_id = e.tenant_id AND j.id = e.journal_id
WHERE e.tenant_id = sqlc.arg(tenant_id) AND e.account_id = sqlc.arg(account_id)
    AND e.posted_at >= sqlc.arg(period_start) AND e.posted_at < sqlc.arg(period_end)
    AND (e.posted_at, e.journal_id, e.position) >
        (sqlc.arg(after_posted_at)::timestamptz, sqlc.arg(after)::text, sqlc.arg(after_position)::int)
ORDER BY e.posted_at, e.journal_id, e.position
LIMIT sqlc.arg(limit_rows)::int;

-- name: InsertDeferrals :exec
-- The arrays run in parallel.
INSERT INTO revenue_deferrals (
    tenant_id, invoice_line_id, invoice_id, customer_id, currency, period_start, period_end, grain, timezone,
    deferred_minor, remaining_minor, recognized_until, created_at
)
SELECT
    sqlc.arg(tenant_id), n.invoice_line_id, n.invoice_id, n.customer_id, n.currency, n.period_start, n.period_end,
    sqlc.arg(grain), sqlc.arg(timezone), n.deferred_minor, n.deferred_minor, n.recognized_until, sqlc.arg(created_at)
FROM (
    SELECT
        unnest(sqlc.arg(invoice_line_ids)::text[]) AS invoice_line_id,
        unnest(sqlc.arg(invoice_ids)::text[]) AS invoice_id,
        unnest(sqlc.arg(customer_ids)::text[]) AS customer_id,
        unnest(sqlc.arg(currencies)::text[]) AS currency,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
        unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end,
        unnest(sqlc.arg(deferred_minor)::bigint[]) AS deferred_minor,
        unnest(sqlc.arg(recognized_until)::timestamptz[]) AS recognized_until
) n;

-- name: ListDeferralsByLine :many
SELECT * FROM revenue_deferrals
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_line_id = ANY (sqlc.arg(invoice_line_ids)::text[])
ORDER BY invoice_line_id;

-- name: ListDeferralsOfInvoice :many
-- All of them; most invoices have none.
SELECT * FROM revenue_deferrals
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_id = sqlc.arg(invoice_id)
ORDER BY invoice_line_id;

-- name: ListDeferrals :many
-- Oldest lines first; '' means any.
SELECT * FROM revenue_deferrals
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(invoice_id)::text = '' OR invoice_id = sqlc.arg(invoice_id)::text)
    AND (sqlc.arg(customer_id)::text = '' OR customer_id = sqlc.arg(customer_id)::text)
    AND invoice_line_id > sqlc.arg(after)
ORDER BY invoice_line_id
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkDeferrals :exec
-- What became of deferrals; the customers' locks keep them as they were read. The arrays run in parallel.
UPDATE revenue_deferrals d
SET recognized_minor = u.recognized_minor, reversed_minor = u.reversed_minor, remaining_minor = u.remaining_minor,
    recognized_until = u.recognized_until
FROM (
    SELECT
        unnest(sqlc.arg(invoice_line_ids)::text[]) AS invoice_line_id,
        unnest(sqlc.arg(recognized_minor)::bigint[]) AS recognized_minor,
        unnest(sqlc.arg(reversed_minor)::bigint[]) AS reversed_minor,
        unnest(sqlc.arg(remaining_minor)::bigint[]) AS remaining_minor,
        unnest(sqlc.arg(recognized_until)::timestamptz[]) AS recognized_until
) u
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.invoice_line_id = u.invoice_line_id;

-- name: InsertRecognitions :exec
-- Once for each part of a service. The arrays run in parallel.
INSERT INTO revenue_recognitions (tenant_id, invoice_line_id, period_start, period_end, amount_minor)
SELECT sqlc.arg(tenant_id), n.invoice_line_id, n.period_start, n.period_end, n.amount_minor
FROM (
    SELECT
        unnest(sqlc.arg(invoice_line_ids)::text[]) AS invoice_line_id,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
        unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end,
        unnest(sqlc.arg(amounts_minor)::bigint[]) AS amount_minor
) n;

-- name: ListRecognitions :many
SELECT * FROM revenue_recognitions
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_line_id = ANY (sqlc.arg(invoice_line_ids)::text[])
ORDER BY invoice_line_id, period_end;

-- name: UpsertDues :exec
-- When something falls due, or falls due next. The arrays run in parallel.
INSERT INTO ledger_dues (tenant_id, kind, source_id, customer_id, sandbox, due_at)
SELECT sqlc.arg(tenant_id), sqlc.arg(kind), n.source_id, n.customer_id, sqlc.arg(sandbox), n.due_at
FROM (
    SELECT
        unnest(sqlc.arg(source_ids)::text[]) AS source_id,
        unnest(sqlc.arg(customer_ids)::text[]) AS customer_id,
        unnest(sqlc.arg(due_at)::timestamptz[]) AS due_at
) n
ON CONFLICT (tenant_id, kind, source_id) DO UPDATE SET due_at = EXCLUDED.due_at, failed_attempts = 0;

-- name: DeleteDues :exec
DELETE FROM ledger_dues
WHERE tenant_id = sqlc.arg(tenant_id) AND kind = sqlc.arg(kind) AND source_id = ANY (sqlc.arg(source_ids)::text[]);

-- name: ListChecks :many
-- All that `ledger_checks` compares, by currency: how many customers disagree, and one of them.
SELECT
    c.name, c.currency, sum(c.expected_minor)::numeric AS expected_minor, sum(c.found_minor)::numeric AS found_minor,
    sum(CASE WHEN c.expected_minor <> c.found_minor THEN 1 ELSE 0 END)::bigint AS differing_customers,
    coalesce(min(CASE WHEN c.expected_minor <> c.found_minor THEN c.customer_id END), '')::text AS differing_customer_id
FROM ledger_checks c
WHERE c.tenant_id = sqlc.arg(tenant_id)
GROUP BY c.name, c.currency
ORDER BY c.currency, c.name;
