-- What is rated by single records. Several items' periods at once: the arrays run in parallel, and a row's number
-- counts from 1 into them. Records that a meter's filters leave out have no `rated_from`.

-- name: ListUniqueCounts :many
SELECT n.number::int AS number, count(DISTINCT r.properties ->> m.unique_property)::bigint AS quantity
FROM (
    SELECT
        unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
        generate_series(1, cardinality(sqlc.arg(subscription_item_ids)::text[])) AS number
) n
JOIN subscription_items i ON i.tenant_id = sqlc.arg(tenant_id) AND i.id = n.subscription_item_id
JOIN prices p ON p.tenant_id = i.tenant_id AND p.id = i.price_id
JOIN meters m ON m.tenant_id = p.tenant_id AND m.id = p.meter_id
JOIN usage_records r
    ON r.tenant_id = i.tenant_id AND r.subscription_item_id = i.id AND r.rated_from IS NOT NULL
    AND r.rated_from = n.period_start AND r.recorded_at >= n.period_start
GROUP BY n.number;

-- name: ListLatestQuantities :many
SELECT n.number::int AS number, l.quantity::numeric AS quantity
FROM (
    SELECT
        unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
        generate_series(1, cardinality(sqlc.arg(subscription_item_ids)::text[])) AS number
) n
CROSS JOIN LATERAL (
    SELECT r.quantity
    FROM usage_records r
    WHERE r.tenant_id = sqlc.arg(tenant_id) AND r.subscription_item_id = n.subscription_item_id
        AND r.rated_from IS NOT NULL AND r.rated_from = n.period_start AND r.recorded_at >= n.period_start
    ORDER BY r.recorded_at DESC, r.received_at DESC, r.key DESC
    LIMIT 1
) l;

-- name: ListHeldLevels :many
-- nullable: transform
-- Levels by the seconds that each was held, over a span of time. A level belongs to the subscription and its meter,
-- whichever item served then: the first one of a span is what was held before it.
SELECT
    n.number::int AS number, m.transform,
    (
        coalesce(o.quantity, 0) * extract(epoch FROM coalesce(h.first_at, n.ends_at) - n.starts_at) + coalesce(h.held, 0)
    )::numeric AS held
FROM (
    SELECT
        unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
        unnest(sqlc.arg(starts_at)::timestamptz[]) AS starts_at,
        unnest(sqlc.arg(ends_at)::timestamptz[]) AS ends_at,
        generate_series(1, cardinality(sqlc.arg(subscription_item_ids)::text[])) AS number
) n
JOIN subscription_items i ON i.tenant_id = sqlc.arg(tenant_id) AND i.id = n.subscription_item_id
JOIN prices p ON p.tenant_id = i.tenant_id AND p.id = i.price_id
JOIN meters m ON m.tenant_id = p.tenant_id AND m.id = p.meter_id
LEFT JOIN LATERAL (
    SELECT l.quantity
    FROM subscription_items e
    CROSS JOIN LATERAL (
        SELECT r.quantity, r.recorded_at, r.received_at, r.key
        FROM usage_records r
        WHERE r.tenant_id = e.tenant_id AND r.subscription_item_id = e.id AND r.rated_from IS NOT NULL
            AND r.recorded_at < n.starts_at
        ORDER BY r.recorded_at DESC, r.received_at DESC, r.key DESC
        LIMIT 1
    ) l
    WHERE e.tenant_id = i.tenant_id AND e.subscription_id = i.subscription_id AND e.meter_code = i.meter_code
    ORDER BY l.recorded_at DESC, l.received_at DESC, l.key DESC
    LIMIT 1
) o ON true
LEFT JOIN LATERAL (
    SELECT min(l.recorded_at) AS first_at, sum(l.quantity * extract(epoch FROM l.until - l.recorded_at)) AS held
    FROM (
        SELECT
            r.quantity, r.recorded_at,
            lead(r.recorded_at, 1, n.ends_at) OVER (ORDER BY r.recorded_at, r.received_at, r.key) AS until
        FROM subscription_items e
        JOIN usage_records r
            ON r.tenant_id = e.tenant_id AND r.subscription_item_id = e.id AND r.rated_from IS NOT NULL
            AND r.recorded_at >= n.starts_at AND r.recorded_at < n.ends_at
        WHERE e.tenant_id = i.tenant_id AND e.subscription_id = i.subscription_id AND e.meter_code = i.meter_code
    ) l
) h ON true;

-- name: InsertUnusedTotals :exec
-- Totals of periods that are billed though nothing was reported in them, as of a level that was held on or of a
-- minimum, so that what they were billed is known when usage comes late. As those of reported usage, they end with the
-- full period or the item.
INSERT INTO usage_totals (
    tenant_id, subscription_item_id, period_start, period_end, subscription_id, customer_id, meter_code, aggregation,
    transform, record_count, quantity_sum, quantity_max, unrated, excluded
)
SELECT
    sqlc.arg(tenant_id), i.id, n.period_start, least(n.full_period_end, i.ends_at), s.id, s.customer_id, m.code,
    m.aggregation, m.transform, 0, 0, 0, false, false
FROM (
    SELECT
        unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
        unnest(sqlc.arg(full_period_ends)::timestamptz[]) AS full_period_end
) n
JOIN subscription_items i ON i.tenant_id = sqlc.arg(tenant_id) AND i.id = n.subscription_item_id
JOIN subscriptions s ON s.tenant_id = i.tenant_id AND s.id = i.subscription_id
JOIN prices p ON p.tenant_id = i.tenant_id AND p.id = i.price_id
JOIN meters m ON m.tenant_id = p.tenant_id AND m.id = p.meter_id
ON CONFLICT (tenant_id, subscription_item_id, period_start) DO NOTHING;

-- name: MarkTrialLevelsRated :exec
-- Levels of trials are not billed, but later periods open with them: those were rated again.
UPDATE usage_totals SET unrated = false
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = ANY (sqlc.arg(subscription_ids)::text[]) AND excluded
    AND unrated AND aggregation = 'time_weighted';

-- name: ListCellQuantities :many
-- nullable: none
-- Of matrix prices: what fell into each cell, by its position from 1; 0 is what no cell holds. Grouped by the values of
-- the price's dimensions first, and then looked up, not each record.
SELECT
    g.number::int AS number, coalesce(c.position, 0)::int AS position, sum(g.record_count)::bigint AS record_count,
    sum(g.quantity)::numeric AS quantity
FROM (
    SELECT
        n.number, p.id AS price_id, count(*) AS record_count, sum(r.quantity) AS quantity,
        ARRAY(SELECT r.properties ->> d.name FROM unnest(p.dimensions) AS d (name)) AS said
    FROM (
        SELECT
            unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
            unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
            generate_series(1, cardinality(sqlc.arg(subscription_item_ids)::text[])) AS number
    ) n
    JOIN subscription_items i ON i.tenant_id = sqlc.arg(tenant_id) AND i.id = n.subscription_item_id
    JOIN prices p ON p.tenant_id = i.tenant_id AND p.id = i.price_id
    JOIN usage_records r
        ON r.tenant_id = i.tenant_id AND r.subscription_item_id = i.id AND r.rated_from IS NOT NULL
        AND r.rated_from = n.period_start AND r.recorded_at >= n.period_start
    GROUP BY n.number, p.id, said
) g
LEFT JOIN (
    SELECT p.id AS price_id, e.position, ARRAY(SELECT jsonb_array_elements_text(e.cell -> 'values')) AS said
    FROM prices p
    CROSS JOIN LATERAL jsonb_array_elements(p.cells) WITH ORDINALITY AS e (cell, position)
    WHERE p.tenant_id = sqlc.arg(tenant_id) AND p.id = ANY (sqlc.arg(price_ids)::text[])
) c ON c.price_id = g.price_id AND c.said = g.said
GROUP BY g.number, c.position
ORDER BY 1, 2;

-- name: ListTransactions :many
-- nullable: none
-- Of percentage prices: transactions that cost the same, together. In the order of time the first ones are free, by
-- their number or their amount; `paid` and `free` are sums. Where a transaction has no least or most that it costs, all
-- that are not free stand together.
SELECT
    g.number::int AS number, g.is_free::boolean AS is_free, count(*)::bigint AS record_count,
    sum(g.quantity - g.free)::numeric AS paid, sum(g.free)::numeric AS free
FROM (
    SELECT
        w.number, w.quantity, w.has_limits, w.allowed AND w.quantity <= w.room AS is_free,
        CASE WHEN w.allowed THEN least(w.quantity, w.room) ELSE 0 END AS free
    FROM (
        SELECT
            o.number, o.quantity, o.has_limits,
            CASE WHEN o.free_amount > 0 THEN o.free_amount - o.before ELSE o.quantity END AS room,
            o.free_transactions + o.free_amount > 0
                AND (o.free_transactions = 0 OR o.place <= o.free_transactions)
                AND (o.free_amount = 0 OR o.before < o.free_amount) AS allowed
        FROM (
            SELECT
                n.number, r.quantity, row_number() OVER earlier AS place,
                sum(r.quantity) OVER earlier - r.quantity AS before,
                coalesce((p.percentage ->> 'free_transactions')::bigint, 0) AS free_transactions,
                coalesce((p.percentage ->> 'free_amount')::numeric, 0) AS free_amount,
                p.percentage ?| ARRAY['minimum_amount', 'maximum_amount'] AS has_limits
            FROM (
                SELECT
                    unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
                    unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
                    generate_series(1, cardinality(sqlc.arg(subscription_item_ids)::text[])) AS number
            ) n
            JOIN subscription_items i ON i.tenant_id = sqlc.arg(tenant_id) AND i.id = n.subscription_item_id
            JOIN prices p ON p.tenant_id = i.tenant_id AND p.id = i.price_id
            JOIN usage_records r
                ON r.tenant_id = i.tenant_id AND r.subscription_item_id = i.id AND r.rated_from IS NOT NULL
                AND r.rated_from = n.period_start AND r.recorded_at >= n.period_start
            WINDOW earlier AS (
                PARTITION BY n.number ORDER BY r.recorded_at, r.received_at, r.key
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            )
        ) o
    ) w
) g
GROUP BY g.number, g.is_free, CASE WHEN g.has_limits THEN g.quantity - g.free END;
