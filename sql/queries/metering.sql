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

-- name: InsertHeldTotals :exec
-- Totals of periods in which a level was only held on, so that what they were billed is known when more comes late.
INSERT INTO usage_totals (
    tenant_id, subscription_item_id, period_start, period_end, subscription_id, customer_id, meter_code, aggregation,
    transform, record_count, quantity_sum, quantity_max, unrated, excluded
)
SELECT
    sqlc.arg(tenant_id), i.id, n.period_start, n.period_end, s.id, s.customer_id, m.code, m.aggregation, m.transform, 0,
    0, 0, false, false
FROM (
    SELECT
        unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
        unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end
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
