-- name: ClaimRatedCycle :one
-- Takes a cycle to be invoiced; no row when it is not rated yet, or was invoiced before.
UPDATE billing_cycles
SET state = 'invoiced', version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND state = 'rated'
RETURNING *;

-- name: InsertInvoice :one
-- A draft with its lines. The arrays run in parallel; '' is no unit amount.
WITH invoice AS (
    INSERT INTO invoices (
        tenant_id, id, customer_id, subscription_id, cycle_id, state, currency, total_minor, amount_due_minor,
        period_start, period_end, created_at
    )
    VALUES (
        sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(customer_id), sqlc.arg(subscription_id), sqlc.arg(cycle_id), 'draft',
        sqlc.arg(currency), sqlc.arg(total_minor), sqlc.arg(total_minor), sqlc.arg(period_start), sqlc.arg(period_end),
        sqlc.arg(created_at)
    )
    RETURNING *
), lines AS (
    INSERT INTO invoice_lines (
        tenant_id, id, invoice_id, position, type, description, period_start, period_end, quantity, unit_amount,
        unit_size, amount_minor, price_id, subscription_item_id, tiers
    )
    SELECT
        i.tenant_id, n.id, i.id, n.position, n.type, n.description, n.period_start, n.period_end, n.quantity,
        nullif(n.unit_amount, '')::numeric, n.unit_size, n.amount_minor, n.price_id, n.subscription_item_id, n.tiers
    FROM invoice i CROSS JOIN (
        SELECT
            unnest(sqlc.arg(line_ids)::text[]) AS id,
            generate_series(1, cardinality(sqlc.arg(line_ids)::text[])) AS position,
            unnest(sqlc.arg(line_types)::text[]) AS type,
            unnest(sqlc.arg(line_descriptions)::text[]) AS description,
            unnest(sqlc.arg(line_period_starts)::timestamptz[]) AS period_start,
            unnest(sqlc.arg(line_period_ends)::timestamptz[]) AS period_end,
            unnest(sqlc.arg(line_quantities)::numeric[]) AS quantity,
            unnest(sqlc.arg(line_unit_amounts)::text[]) AS unit_amount,
            unnest(sqlc.arg(line_unit_sizes)::numeric[]) AS unit_size,
            unnest(sqlc.arg(line_amounts_minor)::bigint[]) AS amount_minor,
            unnest(sqlc.arg(line_price_ids)::text[]) AS price_id,
            unnest(sqlc.arg(line_item_ids)::text[]) AS subscription_item_id,
            -- One document, for the driver takes lists of lists for arrays of two dimensions.
            jsonb_array_elements(sqlc.arg(line_tiers)::jsonb) AS tiers
    ) n
)
SELECT i.* FROM invoice i;

-- name: FindInvoice :one
SELECT * FROM invoices WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListInvoiceLines :many
SELECT * FROM invoice_lines
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_id = sqlc.arg(invoice_id)
ORDER BY position;

-- name: ListInvoices :many
-- Newest first; '' means any.
SELECT * FROM invoices
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(customer_id)::text = '' OR customer_id = sqlc.arg(customer_id)::text)
    AND (sqlc.arg(subscription_id)::text = '' OR subscription_id = sqlc.arg(subscription_id)::text)
    AND (sqlc.arg(state)::text = '' OR state = sqlc.arg(state)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: UpsertInvoiceCounter :one
-- The next number of the tenant's year. Its row stays locked until the transaction ends, so it comes last.
INSERT INTO invoice_counters AS c (tenant_id, year, last_number)
VALUES (sqlc.arg(tenant_id), sqlc.arg(year), 1)
ON CONFLICT (tenant_id, year) DO UPDATE SET last_number = c.last_number + 1
RETURNING last_number;

-- name: MarkInvoice :one
-- Writes what the lifecycle decided; the version guards against a change in between.
UPDATE invoices
SET state = sqlc.arg(state), number = sqlc.narg(number), amount_paid_minor = sqlc.arg(amount_paid_minor),
    amount_due_minor = sqlc.arg(amount_due_minor), finalized_at = sqlc.narg(finalized_at), due_at = sqlc.narg(due_at),
    paid_at = sqlc.narg(paid_at), voided_at = sqlc.narg(voided_at), version = sqlc.arg(new_version)
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version)
RETURNING *;

-- name: InsertPayment :one
INSERT INTO invoice_payments (tenant_id, id, invoice_id, amount_minor, currency, reference, received_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(invoice_id), sqlc.arg(amount_minor), sqlc.arg(currency),
    sqlc.arg(reference), sqlc.arg(received_at)
)
RETURNING *;

-- name: GetSellerName :one
SELECT name FROM tenants WHERE id = sqlc.arg(tenant_id);
