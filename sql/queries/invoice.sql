-- name: ClaimRatedCycles :many
-- Takes cycles to be invoiced each by itself, in the order of time; not those that are not rated yet, or were invoiced
-- before.
WITH claimed AS (
    UPDATE billing_cycles
    SET state = 'invoiced', version = version + 1
    WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]) AND state = 'rated'
        AND NOT consolidated
    RETURNING *
)
SELECT c.* FROM claimed c ORDER BY c.period_start, c.id;

-- name: ClaimConsolidatedCycles :many
-- Takes cycles to be invoiced together, with all others of their customers that end with them: once the last of them is
-- rated. One without length may not be on its way at all: none waits for it.
WITH named AS (
    SELECT DISTINCT c.customer_id, c.period_end
    FROM billing_cycles c
    WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = ANY (sqlc.arg(ids)::text[]) AND c.state = 'rated'
        AND c.consolidated
), claimed AS (
    UPDATE billing_cycles c
    SET state = 'invoiced', version = version + 1
    FROM named n
    WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.customer_id = n.customer_id AND c.period_end = n.period_end
        AND c.consolidated AND c.state = 'rated'
        AND NOT EXISTS (
            SELECT FROM billing_cycles b
            WHERE b.tenant_id = sqlc.arg(tenant_id) AND b.customer_id = n.customer_id AND b.period_end = n.period_end
                AND b.consolidated AND NOT b.trial AND b.period_start < b.period_end
                AND b.state IN ('scheduled', 'open', 'grace', 'closed')
        )
    RETURNING c.*
)
SELECT c.* FROM claimed c ORDER BY c.customer_id, c.period_end, c.subscription_id, c.period_start, c.id;

-- name: InsertInvoiceCycles :exec
-- The cycles that consolidated invoices are over. The arrays run in parallel.
INSERT INTO invoice_cycles (tenant_id, invoice_id, cycle_id, subscription_id)
SELECT sqlc.arg(tenant_id), n.invoice_id, n.cycle_id, n.subscription_id
FROM (
    SELECT
        unnest(sqlc.arg(invoice_ids)::text[]) AS invoice_id,
        unnest(sqlc.arg(cycle_ids)::text[]) AS cycle_id,
        unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id
) n;

-- name: VoidInvoiceCycles :exec
-- A consolidated invoice is void now.
UPDATE invoice_cycles SET void = true
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_id = sqlc.arg(invoice_id);

-- name: CopyInvoiceCycles :exec
-- What the one invoice was over, the other is now.
INSERT INTO invoice_cycles (tenant_id, invoice_id, cycle_id, subscription_id)
SELECT k.tenant_id, sqlc.arg(to_invoice_id)::text, k.cycle_id, k.subscription_id
FROM invoice_cycles k
WHERE k.tenant_id = sqlc.arg(tenant_id) AND k.invoice_id = sqlc.arg(from_invoice_id);

-- name: InsertInvoices :exec
-- Invoices as they were decided, drafts or final, with their lines. Of both, the arrays run in parallel; '' is no
-- number, unit amount, subscription and the like, and those that are paid were so when they were finalized.
WITH written AS (
    INSERT INTO invoices (
        tenant_id, id, customer_id, subscription_id, cycle_id, state, number, currency, subtotal_minor, discount_minor,
        credit_minor, tax_minor, total_minor, prepaid_minor, amount_due_minor, tax_behavior, discounts, credits, taxes,
        terms, description, replaces_invoice_id, period_start, period_end, finalized_at, due_at, paid_at, created_at, version
    )
    SELECT
        sqlc.arg(tenant_id), n.id, n.customer_id, nullif(n.subscription_id, ''), nullif(n.cycle_id, ''), n.state,
        nullif(n.number, ''), n.currency, n.subtotal_minor, n.discount_minor, n.credit_minor, n.tax_minor, n.total_minor,
        n.prepaid_minor, n.total_minor - n.prepaid_minor, n.tax_behavior, n.evidence -> 'discounts',
        n.evidence -> 'credits', n.evidence -> 'taxes', n.evidence -> 'terms', n.description, nullif(n.replaces_invoice_id, ''), n.period_start, n.period_end, sqlc.narg(finalized_at)::timestamptz,
        sqlc.narg(due_at)::timestamptz, CASE n.state WHEN 'paid' THEN sqlc.narg(finalized_at)::timestamptz END,
        sqlc.arg(created_at), n.version
    FROM (
        SELECT
            unnest(sqlc.arg(ids)::text[]) AS id,
            unnest(sqlc.arg(customer_ids)::text[]) AS customer_id,
            unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id,
            unnest(sqlc.arg(cycle_ids)::text[]) AS cycle_id,
            unnest(sqlc.arg(states)::text[]) AS state,
            unnest(sqlc.arg(numbers)::text[]) AS number,
            unnest(sqlc.arg(currencies)::text[]) AS currency,
            unnest(sqlc.arg(subtotals_minor)::bigint[]) AS subtotal_minor,
            unnest(sqlc.arg(discounts_minor)::bigint[]) AS discount_minor,
            unnest(sqlc.arg(credits_minor)::bigint[]) AS credit_minor,
            unnest(sqlc.arg(taxes_minor)::bigint[]) AS tax_minor,
            unnest(sqlc.arg(totals_minor)::bigint[]) AS total_minor,
            unnest(sqlc.arg(prepaid_minor)::bigint[]) AS prepaid_minor,
            unnest(sqlc.arg(tax_behaviors)::text[]) AS tax_behavior,
            jsonb_array_elements(sqlc.arg(evidence)::jsonb) AS evidence,
            unnest(sqlc.arg(descriptions)::text[]) AS description,
            unnest(sqlc.arg(replaced_invoice_ids)::text[]) AS replaces_invoice_id,
            unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
            unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end,
            unnest(sqlc.arg(versions)::bigint[]) AS version
    ) n
)
INSERT INTO invoice_lines (
    tenant_id, id, invoice_id, position, type, description, period_start, period_end, quantity, unit_amount, unit_size,
    amount_minor, price_id, subscription_item_id, tiers, steps, by_record, discount_minor, credit_minor, tax_minor, taxes,
    tax_category, tax_exemption, charge_id, subscription_id, evidence
)
SELECT
    sqlc.arg(tenant_id), l.id, l.invoice_id, l.position, l.type, l.description, l.period_start, l.period_end, l.quantity,
    nullif(l.unit_amount, '')::numeric, l.unit_size, l.amount_minor, nullif(l.price_id, ''),
    nullif(l.subscription_item_id, ''), l.tiers, l.steps, l.by_record, l.discount_minor, l.credit_minor, l.tax_minor,
    l.taxes, l.tax_category, nullif(l.tax_exemption, ''), nullif(l.charge_id, ''), nullif(l.subscription_id, ''),
    nullif(l.evidence, 'null'::jsonb)
FROM (
    SELECT
        unnest(sqlc.arg(line_ids)::text[]) AS id,
        unnest(sqlc.arg(line_invoice_ids)::text[]) AS invoice_id,
        unnest(sqlc.arg(line_positions)::int[]) AS position,
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
        unnest(sqlc.arg(line_discounts_minor)::bigint[]) AS discount_minor,
        unnest(sqlc.arg(line_credits_minor)::bigint[]) AS credit_minor,
        unnest(sqlc.arg(line_taxes_minor)::bigint[]) AS tax_minor,
        unnest(sqlc.arg(line_tax_categories)::text[]) AS tax_category,
        unnest(sqlc.arg(line_tax_exemptions)::text[]) AS tax_exemption,
        unnest(sqlc.arg(line_subscription_ids)::text[]) AS subscription_id,
        jsonb_array_elements(sqlc.arg(line_evidence)::jsonb) AS evidence,
        unnest(sqlc.arg(line_charge_ids)::text[]) AS charge_id,
        jsonb_array_elements(sqlc.arg(line_taxes)::jsonb) AS taxes,
        -- One document, for the driver takes lists of lists for arrays of two dimensions.
        jsonb_array_elements(sqlc.arg(line_tiers)::jsonb) AS tiers,
        jsonb_array_elements(sqlc.arg(line_steps)::jsonb) AS steps,
        nullif(jsonb_array_elements(sqlc.arg(line_by_record)::jsonb), 'null') AS by_record
) l;

-- name: ListInvoicedPeriods :many
-- nullable: none
-- What lines of some subscriptions came to, by the period that they begin in and whether they are true-ups: of periods
-- since a time of each. Invoices that were issued again count once, and voided ones stay: what was given up as a whole
-- is not asked for by another name.
SELECT l.subscription_id::text AS subscription_id, l.period_start, (l.type = 'true_up')::boolean AS true_up,
    sum(l.amount_minor)::bigint AS amount_minor
FROM (
    SELECT
        unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id,
        unnest(sqlc.arg(since)::timestamptz[]) AS since
) n
CROSS JOIN LATERAL (
    SELECT i.id FROM invoices i
    WHERE i.tenant_id = sqlc.arg(tenant_id) AND i.subscription_id = n.subscription_id
    UNION
    SELECT k.invoice_id FROM invoice_cycles k
    WHERE k.tenant_id = sqlc.arg(tenant_id) AND k.subscription_id = n.subscription_id
) m
JOIN invoices i ON i.tenant_id = sqlc.arg(tenant_id) AND i.id = m.id AND i.replaces_invoice_id IS NULL
JOIN invoice_lines l ON l.tenant_id = i.tenant_id AND l.invoice_id = i.id AND l.subscription_id = n.subscription_id
WHERE l.period_start >= n.since
GROUP BY l.subscription_id, l.period_start, (l.type = 'true_up')
ORDER BY l.subscription_id, l.period_start;

-- name: ListInvoicedBefore :many
-- nullable: taxes, tax_exemption, tax_category
-- What lines came to on all invoices: of an item ('' stands for true-ups), that begin with a period, or of all items of
-- a price, that begin within it. What of that is not to be given back: discounts and credits took it off, credit notes
-- gave it back, or the invoice was withdrawn or written off; and how the line that charged most was taxed. Those that
-- were issued again count once. The arrays run in parallel; `place` is the first of which the place is 1.
SELECT
    b.place::int AS place, sum(b.amount_minor)::bigint AS amount_minor, sum(b.uncharged_minor)::bigint AS uncharged_minor,
    ((array_agg(b.taxes ORDER BY b.amount_minor - b.uncharged_minor DESC, b.id)
        FILTER (WHERE b.amount_minor > 0))[1])::jsonb AS taxes,
    ((array_agg(b.tax_exemption ORDER BY b.amount_minor - b.uncharged_minor DESC, b.id)
        FILTER (WHERE b.amount_minor > 0))[1])::text AS tax_exemption,
    ((array_agg(b.tax_category ORDER BY b.amount_minor - b.uncharged_minor DESC, b.id)
        FILTER (WHERE b.amount_minor > 0))[1])::text AS tax_category
FROM (
    SELECT
        n.place, l.id, l.amount_minor, l.taxes, l.tax_exemption, l.tax_category,
        uncharged_minor(
            i.state, i.amount_due_minor, i.total_minor - i.credited_minor, l.amount_minor,
            l.discount_minor + l.credit_minor,
            CASE i.credited_minor WHEN 0 THEN 0 ELSE credited_minor(i.tenant_id, i.id, l.id) END
        ) AS uncharged_minor
    FROM (
        SELECT
            unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id,
            unnest(sqlc.arg(item_ids)::text[]) AS subscription_item_id,
            unnest(sqlc.arg(price_ids)::text[]) AS price_id,
            unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
            unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end,
            generate_subscripts(sqlc.arg(item_ids)::text[], 1) AS place
    ) n
    CROSS JOIN LATERAL (
        SELECT i.id FROM invoices i
        WHERE i.tenant_id = sqlc.arg(tenant_id) AND i.subscription_id = n.subscription_id
        UNION
        SELECT k.invoice_id FROM invoice_cycles k
        WHERE k.tenant_id = sqlc.arg(tenant_id) AND k.subscription_id = n.subscription_id
    ) m
    JOIN invoices i ON i.tenant_id = sqlc.arg(tenant_id) AND i.id = m.id
    JOIN invoice_lines l ON l.tenant_id = i.tenant_id AND l.invoice_id = i.id
        AND l.subscription_id = n.subscription_id AND l.period_start >= n.period_start
    WHERE CASE
            WHEN n.price_id <> '' THEN l.price_id = n.price_id AND l.period_start < n.period_end
            WHEN n.subscription_item_id <> '' THEN
                l.subscription_item_id = n.subscription_item_id AND l.period_start = n.period_start
            ELSE l.type = 'true_up' AND l.period_start = n.period_start
        END
        AND NOT EXISTS (
            SELECT FROM invoices a WHERE a.tenant_id = i.tenant_id AND a.replaces_invoice_id = i.id
        )
) b
GROUP BY b.place;

-- name: ListPricedTogether :many
-- nullable: none
-- Of an invoice's lines, those of usage that was priced together with that of other items of the price, and the full
-- period that it was priced for.
SELECT l.id AS line_id, (c.basis->'full_period')::jsonb AS full_period
FROM invoice_lines l
JOIN charges c ON c.tenant_id = l.tenant_id AND c.id = l.charge_id
WHERE l.tenant_id = sqlc.arg(tenant_id) AND l.invoice_id = sqlc.arg(invoice_id)
    AND c.kind IN ('usage', 'adjustment')
    AND EXISTS (
        SELECT
        FROM billing_cycles k
        JOIN charges o ON o.tenant_id = k.tenant_id AND o.cycle_id = k.id
        WHERE k.tenant_id = l.tenant_id AND k.subscription_id = l.subscription_id AND o.price_id = c.price_id
            AND o.basis ? 'priced_quantity' AND o.basis->'full_period' = c.basis->'full_period'
    );

-- name: ListCommittedPeriods :many
-- The periods with a minimum, of some subscriptions, that some times lie in. The arrays run in parallel.
SELECT DISTINCT c.subscription_id, c.full_period_start, c.full_period_end, c.minimum_minor::bigint AS minimum_minor
FROM (
    SELECT
        unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id,
        unnest(sqlc.arg(instants)::timestamptz[]) AS instant
) n
JOIN billing_cycles c ON c.tenant_id = sqlc.arg(tenant_id) AND c.subscription_id = n.subscription_id
WHERE c.minimum_minor > 0 AND c.full_period_start <= n.instant AND c.full_period_end > n.instant
ORDER BY c.subscription_id, c.full_period_start;

-- name: FindInvoice :one
SELECT * FROM invoices WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: FindCycleInvoice :one
-- The one that is not void, over the cycle alone or over others too.
SELECT i.* FROM invoices i
WHERE i.tenant_id = sqlc.arg(tenant_id) AND i.state <> 'void'
    AND (
        i.cycle_id = sqlc.arg(cycle_id)::text
        OR i.id = (
            SELECT k.invoice_id FROM invoice_cycles k
            WHERE k.tenant_id = sqlc.arg(tenant_id) AND k.cycle_id = sqlc.arg(cycle_id)::text AND NOT k.void
        )
    )
LIMIT 1;

-- name: ListInvoiceLines :many
SELECT * FROM invoice_lines
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_id = sqlc.arg(invoice_id)
ORDER BY position;

-- name: ListInvoices :many
-- Newest first; '' means any.
SELECT i.* FROM invoices i
WHERE i.tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(customer_id)::text = '' OR i.customer_id = sqlc.arg(customer_id)::text)
    AND (
        sqlc.arg(subscription_id)::text = '' OR i.subscription_id = sqlc.arg(subscription_id)::text
        OR i.id IN (
            SELECT k.invoice_id FROM invoice_cycles k
            WHERE k.tenant_id = sqlc.arg(tenant_id) AND k.subscription_id = sqlc.arg(subscription_id)::text
        )
    )
    AND (sqlc.arg(state)::text = '' OR i.state = sqlc.arg(state)::text)
    AND (sqlc.arg(after)::text = '' OR i.id < sqlc.arg(after)::text)
ORDER BY i.id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: UpsertInvoiceCounter :one
-- The last of the next `count` numbers of the tenant's year. Its row stays locked until the transaction ends, so
-- it comes last.
INSERT INTO invoice_counters AS c (tenant_id, year, last_number)
VALUES (sqlc.arg(tenant_id), sqlc.arg(year), sqlc.arg(count)::bigint)
ON CONFLICT (tenant_id, year) DO UPDATE SET last_number = c.last_number + EXCLUDED.last_number
RETURNING last_number;

-- name: MarkInvoice :one
-- Writes what the lifecycle decided; the version guards against a change in between.
UPDATE invoices
SET state = sqlc.arg(state), number = sqlc.narg(number), amount_paid_minor = sqlc.arg(amount_paid_minor),
    amount_due_minor = sqlc.arg(amount_due_minor), credited_minor = sqlc.arg(credited_minor),
    prepaid_minor = sqlc.arg(prepaid_minor), credits = sqlc.arg(credits), finalized_at = sqlc.narg(finalized_at),
    due_at = sqlc.narg(due_at), paid_at = sqlc.narg(paid_at), voided_at = sqlc.narg(voided_at),
    written_off_at = sqlc.narg(written_off_at), version = sqlc.arg(new_version)
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version)
RETURNING *;

-- name: MarkInvoiceLinksRevoked :one
-- Nothing is kept of a link that could be marked: all of a generation end together.
UPDATE invoices SET link_generation = link_generation + 1, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
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

-- name: UpsertCreditNoteCounter :one
-- The tenant's next number of the year; its row stays locked until the transaction ends, so it comes last.
INSERT INTO credit_note_counters AS c (tenant_id, year, last_number)
VALUES (sqlc.arg(tenant_id), sqlc.arg(year), 1)
ON CONFLICT (tenant_id, year) DO UPDATE SET last_number = c.last_number + 1
RETURNING last_number;

-- name: InsertCreditNote :one
INSERT INTO credit_notes (
    tenant_id, id, invoice_id, customer_id, number, reason, currency, items, discount_minor, subtotal_minor, tax_minor,
    total_minor, due_minor, refunded_minor, returned_minor, credit_id, issued_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(invoice_id), sqlc.arg(customer_id), sqlc.arg(number), sqlc.arg(reason),
    sqlc.arg(currency), sqlc.arg(items), sqlc.arg(discount_minor), sqlc.arg(subtotal_minor), sqlc.arg(tax_minor),
    sqlc.arg(total_minor), sqlc.arg(due_minor), sqlc.arg(refunded_minor), sqlc.arg(returned_minor), sqlc.narg(credit_id), sqlc.arg(issued_at)
)
RETURNING *;

-- name: ListCreditNotes :many
-- Newest first; '' means any invoice or customer.
SELECT * FROM credit_notes
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(invoice_id)::text = '' OR invoice_id = sqlc.arg(invoice_id)::text)
    AND (sqlc.arg(customer_id)::text = '' OR customer_id = sqlc.arg(customer_id)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListCreditNotesOfInvoice :many
-- All of them, oldest first.
SELECT * FROM credit_notes
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_id = sqlc.arg(invoice_id)
ORDER BY id;

-- name: FindInvoiceLine :one
SELECT * FROM invoice_lines WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListInvoiceLinesAfter :many
SELECT * FROM invoice_lines
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_id = sqlc.arg(invoice_id) AND position > sqlc.arg(after)::int
ORDER BY position
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListChargeLines :many
-- Which lines hold some charges: several a charge, when an invoice was voided and issued again. Found by the charges'
-- subscriptions, for lines have no index by charge; and by their customers, on invoices of several subscriptions.
SELECT l.charge_id::text AS charge_id, l.id, l.invoice_id, l.amount_minor, i.number, i.state
FROM invoices i JOIN invoice_lines l ON l.tenant_id = i.tenant_id AND l.invoice_id = i.id
WHERE i.tenant_id = sqlc.arg(tenant_id) AND l.charge_id = ANY (sqlc.arg(charge_ids)::text[])
    AND (
        i.subscription_id IN (
            SELECT b.subscription_id
            FROM charges c JOIN billing_cycles b ON b.tenant_id = c.tenant_id AND b.id = c.cycle_id
            WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = ANY (sqlc.arg(charge_ids)::text[])
        )
        OR i.subscription_id IS NULL AND i.customer_id IN (
            SELECT b.customer_id
            FROM charges c JOIN billing_cycles b ON b.tenant_id = c.tenant_id AND b.id = c.cycle_id
            WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = ANY (sqlc.arg(charge_ids)::text[])
        )
    )
ORDER BY l.charge_id, l.invoice_id;

-- name: ListPayments :many
-- Oldest first.
SELECT * FROM invoice_payments
WHERE tenant_id = sqlc.arg(tenant_id) AND invoice_id = sqlc.arg(invoice_id)
ORDER BY id;
