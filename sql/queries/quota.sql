-- name: UpsertQuota :one
-- Another limit for the same subject, meter and period changes the one there is.
INSERT INTO quotas AS q (
    tenant_id, id, scope, subject_id, meter_code, aggregation, period, limit_quantity, enforcement, thresholds, platform,
    created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(scope), sqlc.arg(subject_id), sqlc.arg(meter_code),
    sqlc.arg(aggregation), sqlc.arg(period), sqlc.arg(limit_quantity), sqlc.arg(enforcement), sqlc.arg(thresholds),
    sqlc.arg(platform), sqlc.arg(created_at)
)
ON CONFLICT ON CONSTRAINT quotas_one_per_period DO UPDATE SET
    limit_quantity = EXCLUDED.limit_quantity, enforcement = EXCLUDED.enforcement, thresholds = EXCLUDED.thresholds,
    version = q.version + 1
RETURNING *;

-- name: FindQuota :one
SELECT * FROM quotas WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: CountQuotas :one
SELECT count(*)::int AS quotas FROM quotas WHERE tenant_id = sqlc.arg(tenant_id) AND subject_id = sqlc.arg(subject_id);

-- name: ListQuotas :many
-- Newest first; '' means any subject.
SELECT * FROM quotas
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(subject_id)::text = '' OR subject_id = sqlc.arg(subject_id)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: DeleteQuota :exec
DELETE FROM quotas WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListQuotasInForce :many
-- The quotas that some subscriptions' usage counts for, once per subscription, with all that says which period a
-- record belongs to. `at_ingestion`: only those that ingestion looks at.
SELECT
    s.id AS subscription_id, s.customer_id, c.timezone AS customer_timezone, s.anchor_at, s.interval_unit,
    s.interval_count, s.timezone, s.start_at, s.trial_end_at, s.ended_at, q.id, q.scope, q.subject_id, q.meter_code,
    q.aggregation, q.period, q.limit_quantity, q.enforcement, q.thresholds
FROM subscriptions s
JOIN customers c ON c.tenant_id = s.tenant_id AND c.id = s.customer_id
JOIN quotas q ON q.tenant_id = s.tenant_id AND q.subject_id = ANY (ARRAY[s.id, s.customer_id, s.plan_id, s.tenant_id])
WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.id = ANY (sqlc.arg(subscription_ids)::text[])
    AND (NOT sqlc.arg(at_ingestion)::bool OR q.enforcement = 'hard' OR q.scope = 'tenant')
ORDER BY s.id, q.id;

-- name: ListUseOfPeriods :many
-- What subscriptions used in their billing periods, over all the items that followed one another in each. The arrays
-- run in parallel; numbers count from 1 into them, and '' is every meter.
-- nullable: none
SELECT
    n.number::int AS number, coalesce(sum(t.record_count), 0)::bigint AS record_count,
    coalesce(sum(t.quantity_sum), 0)::numeric AS quantity_sum, coalesce(max(t.quantity_max), 0)::numeric AS quantity_max
FROM (
    SELECT
        unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id, unnest(sqlc.arg(meter_codes)::text[]) AS meter_code,
        unnest(sqlc.arg(starts)::timestamptz[]) AS start_at, unnest(sqlc.arg(ends)::timestamptz[]) AS end_at,
        generate_series(1, cardinality(sqlc.arg(starts)::timestamptz[])) AS number
) n
LEFT JOIN usage_totals t ON t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_id = n.subscription_id
    AND t.period_start >= n.start_at AND t.period_start < n.end_at AND (n.meter_code = '' OR t.meter_code = n.meter_code)
GROUP BY n.number;

-- name: ListUseOfHours :many
-- What subscriptions, or all of customers' subscriptions, used in these hours; the arrays as above.
-- nullable: none
SELECT
    n.number::int AS number, coalesce(sum(u.record_count), 0)::bigint AS record_count,
    coalesce(sum(u.quantity_sum), 0)::numeric AS quantity_sum, coalesce(max(u.quantity_max), 0)::numeric AS quantity_max
FROM (
    SELECT
        unnest(sqlc.arg(subject_ids)::text[]) AS subject_id, unnest(sqlc.arg(meter_codes)::text[]) AS meter_code,
        unnest(sqlc.arg(starts)::timestamptz[]) AS start_at, unnest(sqlc.arg(ends)::timestamptz[]) AS end_at,
        generate_series(1, cardinality(sqlc.arg(starts)::timestamptz[])) AS number
) n
CROSS JOIN LATERAL (
    SELECT one.id FROM subscriptions one WHERE one.tenant_id = sqlc.arg(tenant_id) AND one.id = n.subject_id
    UNION ALL
    SELECT own.id FROM subscriptions own WHERE own.tenant_id = sqlc.arg(tenant_id) AND own.customer_id = n.subject_id
) s
JOIN subscription_items i ON i.tenant_id = sqlc.arg(tenant_id) AND i.subscription_id = s.id
    AND (n.meter_code = '' OR i.meter_code = n.meter_code)
JOIN usage_rollups u ON u.tenant_id = sqlc.arg(tenant_id) AND u.subscription_item_id = i.id
    AND u.hour >= n.start_at AND u.hour < n.end_at
GROUP BY n.number;

-- name: ListCounters :many
-- What the tenant used of its own quotas in periods that begin then; the arrays run in parallel.
SELECT c.quota_id, c.period_start, c.used
FROM quota_counters c
WHERE c.tenant_id = sqlc.arg(tenant_id)
    AND (c.quota_id, c.period_start) IN (
        SELECT unnest(sqlc.arg(quota_ids)::text[]), unnest(sqlc.arg(starts)::timestamptz[])
    );

-- name: CountUse :many
-- Adds what a batch used of the tenant's quotas, and tells what that comes to. The rows stay locked until the
-- commit: the last statement of the batch, in the order of ids, so that two batches cannot deadlock.
INSERT INTO quota_counters AS c (tenant_id, quota_id, period_start, period_end, used)
SELECT sqlc.arg(tenant_id), n.quota_id, n.period_start, n.period_end, n.used
FROM (
    SELECT
        unnest(sqlc.arg(quota_ids)::text[]) AS quota_id, unnest(sqlc.arg(starts)::timestamptz[]) AS period_start,
        unnest(sqlc.arg(ends)::timestamptz[]) AS period_end, unnest(sqlc.arg(used)::numeric[]) AS used
) n
ORDER BY n.quota_id, n.period_start
ON CONFLICT (tenant_id, quota_id, period_start) DO UPDATE SET
    used = CASE
        WHEN c.quota_id = ANY (sqlc.arg(largest)::text[]) THEN greatest(c.used, EXCLUDED.used)
        ELSE c.used + EXCLUDED.used
    END
RETURNING c.quota_id, c.period_start, c.used;

-- name: InsertNotices :many
-- Those of the notices that were not given before; the arrays run in parallel.
INSERT INTO quota_notices (tenant_id, quota_id, subject_id, period_start, kind, at_quantity, created_at)
SELECT
    sqlc.arg(tenant_id), n.quota_id, n.subject_id, n.period_start, n.kind, n.at_quantity,
    sqlc.arg(created_at)::timestamptz
FROM (
    SELECT
        unnest(sqlc.arg(quota_ids)::text[]) AS quota_id, unnest(sqlc.arg(subject_ids)::text[]) AS subject_id,
        unnest(sqlc.arg(starts)::timestamptz[]) AS period_start, unnest(sqlc.arg(kinds)::text[]) AS kind,
        unnest(sqlc.arg(at_quantities)::numeric[]) AS at_quantity
) n
-- The quota may be gone by now.
JOIN quotas q ON q.tenant_id = sqlc.arg(tenant_id) AND q.id = n.quota_id
ORDER BY n.quota_id, n.subject_id, n.period_start, n.kind, n.at_quantity
ON CONFLICT DO NOTHING
RETURNING quota_id, subject_id, period_start, kind, at_quantity;

-- name: UpsertFeature :one
INSERT INTO features AS f (tenant_id, subject_id, code, scope, meter_code, created_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(subject_id), sqlc.arg(code), sqlc.arg(scope), sqlc.arg(meter_code),
    sqlc.arg(created_at)
)
ON CONFLICT (tenant_id, subject_id, code) DO UPDATE SET
    meter_code = EXCLUDED.meter_code, removed = false, version = f.version + 1
RETURNING *;

-- name: MarkFeatureRemoved :one
-- Once.
UPDATE features SET removed = true, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND subject_id = sqlc.arg(subject_id) AND code = sqlc.arg(code) AND NOT removed
RETURNING *;

-- name: CountFeatures :one
SELECT count(*)::int AS features FROM features
WHERE tenant_id = sqlc.arg(tenant_id) AND subject_id = sqlc.arg(subject_id) AND NOT removed;

-- name: ListFeatures :many
SELECT * FROM features
WHERE tenant_id = sqlc.arg(tenant_id) AND subject_id = sqlc.arg(subject_id) AND NOT removed
    AND code > sqlc.arg(after)
ORDER BY code
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListHeldFeatures :many
-- Of several subjects together.
SELECT subject_id, code, meter_code FROM features
WHERE tenant_id = sqlc.arg(tenant_id) AND subject_id = ANY (sqlc.arg(subject_ids)::text[]) AND NOT removed;

-- name: ListHeldSubscriptions :many
-- The subscription of that id, or the customer's ('' is no id): running ones first, then the newest. What it is made of now.
SELECT
    s.id, s.customer_id, s.plan_id, s.state, s.next_change_at,
    ARRAY(
        SELECT i.meter_code::text FROM subscription_items i
        WHERE i.tenant_id = s.tenant_id AND i.subscription_id = s.id AND i.meter_code IS NOT NULL
            AND i.starts_at <= sqlc.arg(now)::timestamptz AND i.ends_at > sqlc.arg(now)::timestamptz
    )::text[] AS meter_codes
FROM (
    SELECT one.* FROM subscriptions one
    WHERE one.tenant_id = sqlc.arg(tenant_id) AND one.id = sqlc.arg(subscription_id)::text
    UNION ALL
    SELECT own.* FROM subscriptions own
    WHERE own.tenant_id = sqlc.arg(tenant_id) AND own.customer_id = sqlc.arg(customer_id)::text
) s
ORDER BY s.state IN ('trialing', 'active') DESC, s.id DESC
LIMIT sqlc.arg(limit_rows)::int;
