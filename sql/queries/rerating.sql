-- name: ListBilledCharges :many
-- nullable: corrected_price_id, taxes, tax_exemption, tax_category
-- What a cycle's fees and usage are billed with: as they were rated, with the price that one was corrected to since, all
-- usage of the period so far, and what invoices hold of it, also those over several subscriptions. Those withdrawn count
-- too, unless they were issued again: what was let go is not asked for again. `rated_minor` is without corrections that
-- keep the discounts of what they correct, as long as something is left of it. `rated_above_minor` is what is not charged of
-- those of its lines that charged something, of which credits before tax paid `rated_credit_minor`. Taxes are those of
-- the line that charged most.
SELECT
    c.subscription_item_id, c.kind, c.price_id, c.description, c.period_start, c.period_end, c.currency, c.basis,
    (c.by_record IS NOT NULL)::boolean AS by_record, (c.price_override_id IS NOT NULL)::boolean AS negotiated,
    (CASE WHEN c.kind = 'usage' THEN coalesce(t.billed_quantity, c.quantity) ELSE coalesce(i.quantity, 1) END)::numeric
        AS quantity,
    (
        SELECT r.corrected_price_id
        FROM rerated_charges r
        WHERE r.tenant_id = c.tenant_id AND r.subscription_item_id = c.subscription_item_id AND r.kind = c.kind
            AND r.period_start = c.period_start
        ORDER BY r.revision DESC
        LIMIT 1
    ) AS corrected_price_id,
    (
        SELECT count(*)
        FROM rerated_charges r
        WHERE r.tenant_id = c.tenant_id AND r.subscription_item_id = c.subscription_item_id AND r.kind = c.kind
            AND r.period_start = c.period_start
    )::int AS revision,
    coalesce(l.amount_minor, 0)::bigint AS billed_minor, coalesce(l.uncharged_minor, 0)::bigint AS uncharged_minor,
    coalesce(CASE WHEN l.rated_minor > 0 THEN l.rated_minor ELSE l.amount_minor END, 0)::bigint AS rated_minor,
    coalesce(CASE WHEN l.rated_minor > 0 THEN l.rated_uncharged_minor ELSE l.uncharged_minor END, 0)::bigint
        AS rated_uncharged_minor,
    coalesce(CASE WHEN l.rated_minor > 0 THEN l.rated_above_minor ELSE l.above_minor END, 0)::bigint
        AS rated_above_minor,
    coalesce(CASE WHEN l.rated_minor > 0 THEN l.rated_credit_minor ELSE l.credit_minor END, 0)::bigint
        AS rated_credit_minor,
    coalesce(CASE WHEN l.rated_minor > 0 THEN l.credit_minor - l.rated_credit_minor END, 0)::bigint
        AS later_credit_minor,
    l.taxes::jsonb AS taxes, l.tax_exemption::text AS tax_exemption, l.tax_category::text AS tax_category,
    coalesce(l.line_ids, '{}')::text[] AS line_ids,
    -- Usage that came late was rated, and is on its way to an invoice.
    (c.kind = 'usage' AND coalesce(t.billed_quantity <> l.used_quantity, false))::boolean AS awaits_invoice
FROM charges c
JOIN subscription_items i ON i.tenant_id = c.tenant_id AND i.id = c.subscription_item_id
LEFT JOIN usage_totals t ON t.tenant_id = c.tenant_id AND t.subscription_item_id = c.subscription_item_id
    AND t.period_start = c.period_start
LEFT JOIN LATERAL (
    SELECT
        sum(n.amount_minor) AS amount_minor, sum(n.uncharged_minor) AS uncharged_minor,
        sum(n.uncharged_minor) FILTER (WHERE n.amount_minor > 0) AS above_minor, sum(n.credit_minor) AS credit_minor,
        sum(n.amount_minor) FILTER (WHERE NOT n.keeps_discounts) AS rated_minor,
        sum(n.uncharged_minor) FILTER (WHERE n.amount_minor > 0 AND NOT n.keeps_discounts) AS rated_above_minor,
        sum(n.uncharged_minor) FILTER (WHERE NOT n.keeps_discounts) AS rated_uncharged_minor,
        coalesce(sum(n.credit_minor) FILTER (WHERE NOT n.keeps_discounts), 0) AS rated_credit_minor,
        (array_agg(n.taxes ORDER BY n.amount_minor - n.uncharged_minor DESC, n.id)
            FILTER (WHERE n.amount_minor > 0))[1] AS taxes,
        (array_agg(n.tax_exemption ORDER BY n.amount_minor - n.uncharged_minor DESC, n.id)
            FILTER (WHERE n.amount_minor > 0))[1] AS tax_exemption,
        (array_agg(n.tax_category ORDER BY n.amount_minor - n.uncharged_minor DESC, n.id)
            FILTER (WHERE n.amount_minor > 0))[1] AS tax_category,
        array_agg(n.id ORDER BY n.id) AS line_ids,
        sum(n.quantity) FILTER (WHERE n.type IN ('usage', 'adjustment')) AS used_quantity
    FROM (
        SELECT
            n.id, n.type, n.quantity, n.amount_minor, n.taxes, n.tax_exemption, n.tax_category,
            CASE v.state WHEN 'void' THEN 0 ELSE n.credit_minor END AS credit_minor,
            uncharged_minor(
                v.state, v.amount_due_minor, v.total_minor - v.credited_minor, n.amount_minor,
                n.discount_minor + n.credit_minor,
                CASE v.credited_minor WHEN 0 THEN 0 ELSE credited_minor(v.tenant_id, v.id, n.id) END
            ) AS uncharged_minor,
            coalesce(n.evidence ? 'rated_minor', false) AS keeps_discounts
        FROM (
            SELECT o.id FROM invoices o WHERE o.tenant_id = i.tenant_id AND o.subscription_id = i.subscription_id
            UNION
            SELECT k.invoice_id FROM invoice_cycles k
            WHERE k.tenant_id = i.tenant_id AND k.subscription_id = i.subscription_id
        ) w
        JOIN invoices v ON v.tenant_id = i.tenant_id AND v.id = w.id
        JOIN invoice_lines n ON n.tenant_id = v.tenant_id AND n.invoice_id = v.id
        WHERE n.subscription_item_id = c.subscription_item_id AND n.period_start = c.period_start
            AND NOT EXISTS (SELECT FROM invoices a WHERE a.tenant_id = v.tenant_id AND a.replaces_invoice_id = v.id)
    ) n
) l ON true
WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.cycle_id = sqlc.arg(cycle_id)
    AND c.kind IN ('recurring', 'usage', 'one_time')
ORDER BY i.position, c.period_start, i.id;

-- name: InsertReratedCharges :exec
-- And, in the totals, what usage is billed now. The arrays run in parallel; line ids are joined by commas,
-- '' is no invoice.
WITH rerated AS (
    SELECT
        unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
        unnest(sqlc.arg(kinds)::text[]) AS kind,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
        unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end,
        unnest(sqlc.arg(revisions)::int[]) AS revision,
        unnest(sqlc.arg(quantities)::numeric[]) AS quantity,
        unnest(sqlc.arg(amounts)::numeric[]) AS amount,
        unnest(sqlc.arg(billed_minors)::bigint[]) AS billed_minor,
        unnest(sqlc.arg(amounts_minor)::bigint[]) AS amount_minor,
        unnest(sqlc.arg(differences_minor)::bigint[]) AS difference_minor,
        unnest(sqlc.arg(billed_line_ids)::text[]) AS billed_line_ids,
        unnest(sqlc.arg(invoice_ids)::text[]) AS invoice_id
), totals AS (
    UPDATE usage_totals t
    SET billed_amount = r.amount, version = t.version + 1
    FROM rerated r
    WHERE r.kind = 'usage' AND t.tenant_id = sqlc.arg(tenant_id)
        AND t.subscription_item_id = r.subscription_item_id AND t.period_start = r.period_start
)
INSERT INTO rerated_charges (
    tenant_id, subscription_item_id, kind, period_start, period_end, revision, cycle_id, price_id, corrected_price_id,
    quantity, currency, billed_minor, amount_minor, difference_minor, billed_line_ids, invoice_id, reason, actor,
    rerated_at
)
SELECT
    sqlc.arg(tenant_id), n.subscription_item_id, n.kind, n.period_start, n.period_end, n.revision, sqlc.arg(cycle_id),
    sqlc.arg(price_id), sqlc.arg(corrected_price_id), n.quantity, sqlc.arg(currency), n.billed_minor, n.amount_minor,
    n.difference_minor, string_to_array(n.billed_line_ids, ','), nullif(n.invoice_id, ''), sqlc.arg(reason),
    sqlc.arg(actor), sqlc.arg(rerated_at)
FROM rerated n;

-- name: MarkCycleRerated :one
-- The cycle's next version is its event's.
UPDATE billing_cycles SET version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING version;

-- name: ListReratedCharges :many
-- Of a cycle, each charge's revisions in their order.
SELECT * FROM rerated_charges
WHERE tenant_id = sqlc.arg(tenant_id) AND cycle_id = sqlc.arg(cycle_id)
    AND (sqlc.arg(after_item_id)::text = '' OR (subscription_item_id, kind, revision)
        > (sqlc.arg(after_item_id)::text, sqlc.arg(after_kind)::text, sqlc.arg(after_revision)::int))
ORDER BY subscription_item_id, kind, revision
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListLineCorrections :many
-- What some lines that correct a price follow from; also those that were issued again.
SELECT
    l.id AS line_id, r.subscription_item_id, r.kind, r.period_start, r.period_end, r.revision, r.cycle_id, r.price_id,
    r.corrected_price_id, r.quantity, r.currency, r.billed_minor, r.amount_minor, r.difference_minor, r.billed_line_ids,
    r.invoice_id, r.reason, r.actor, r.rerated_at, c.basis
FROM invoice_lines l
JOIN rerated_charges r ON r.tenant_id = l.tenant_id AND r.subscription_item_id = l.subscription_item_id
    AND r.period_start = l.period_start AND r.revision = (l.evidence->>'rerated_revision')::int
JOIN charges c ON c.tenant_id = r.tenant_id AND c.cycle_id = r.cycle_id
    AND c.subscription_item_id = r.subscription_item_id AND c.kind = r.kind AND c.period_start = r.period_start
WHERE l.tenant_id = sqlc.arg(tenant_id) AND l.id = ANY (sqlc.arg(line_ids)::text[]);

-- name: ListBilledLines :many
-- Lines, and the invoices that they are on.
SELECT l.id, l.invoice_id, l.type, l.quantity, l.amount_minor, i.number, i.state
FROM invoice_lines l JOIN invoices i ON i.tenant_id = l.tenant_id AND i.id = l.invoice_id
WHERE l.tenant_id = sqlc.arg(tenant_id) AND l.id = ANY (sqlc.arg(ids)::text[])
ORDER BY i.created_at, l.id;
