-- name: FindUsageKey :one
-- When the record of a key was recorded: that finds the record, which has no index by key.
SELECT recorded_at FROM usage_keys WHERE tenant_id = sqlc.arg(tenant_id) AND key = sqlc.arg(key)::text::uuid;

-- name: FindUsageRecord :one
SELECT
    r.subscription_item_id, r.recorded_at, r.quantity, i.subscription_id, s.customer_id, i.meter_code::text AS meter_code,
    i.max_quantity, i.aggregation::text AS aggregation, (r.filtered IS TRUE)::boolean AS filtered,
    (r.rated_from IS NOT NULL)::boolean AS by_record
FROM usage_records r
JOIN subscription_items i ON i.tenant_id = r.tenant_id AND i.id = r.subscription_item_id
JOIN subscriptions s ON s.tenant_id = i.tenant_id AND s.id = i.subscription_id
WHERE r.tenant_id = sqlc.arg(tenant_id) AND r.recorded_at = sqlc.arg(recorded_at) AND r.key = sqlc.arg(key)::text::uuid;

-- name: FindUsageCorrection :one
-- The newest of a key.
SELECT * FROM usage_corrections
WHERE tenant_id = sqlc.arg(tenant_id) AND key = sqlc.arg(key)::text::uuid
ORDER BY revision DESC
LIMIT 1;

-- name: FindCorrectedTotal :one
-- The total that an item's record of a time counts in.
SELECT * FROM usage_totals
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_item_id = sqlc.arg(subscription_item_id)
    AND period_start <= sqlc.arg(recorded_at)
ORDER BY period_start DESC
LIMIT 1;

-- name: InsertUsageCorrection :one
INSERT INTO usage_corrections (
    tenant_id, id, key, revision, idempotency_key, subscription_id, subscription_item_id, meter_code, period_start,
    period_end, recorded_at, quantity_before, quantity, reason, actor, corrected_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(key)::text::uuid, sqlc.arg(revision), sqlc.arg(idempotency_key),
    sqlc.arg(subscription_id), sqlc.arg(subscription_item_id), sqlc.arg(meter_code), sqlc.arg(period_start),
    sqlc.arg(period_end), sqlc.arg(recorded_at), sqlc.arg(quantity_before), sqlc.narg(quantity), sqlc.arg(reason),
    sqlc.arg(actor), sqlc.arg(corrected_at)
)
RETURNING *;

-- name: MarkUsageCorrected :one
-- Lets the hour and the period's total follow a correction that is written already. Sums and counts are given back;
-- a largest quantity is looked for among the records if it was this one; a smallest one too, for meters that bill it.
WITH hours AS (
    UPDATE usage_rollups u
    SET record_count = u.record_count + sqlc.arg(record_count)::bigint,
        quantity_sum = u.quantity_sum + sqlc.arg(quantity)::numeric - sqlc.arg(quantity_before)::numeric,
        quantity_max = CASE
            WHEN sqlc.arg(quantity)::numeric >= u.quantity_max THEN sqlc.arg(quantity)::numeric
            WHEN sqlc.arg(quantity_before)::numeric < u.quantity_max THEN u.quantity_max
            ELSE coalesce(kept_usage(
                u.tenant_id, u.subscription_item_id, u.hour, u.hour + interval '3599.999999 seconds', true
            ), 0)
        END,
        quantity_min = CASE
            WHEN NOT sqlc.arg(has_min)::boolean THEN u.quantity_min
            WHEN sqlc.arg(record_count)::bigint = 0 AND sqlc.arg(quantity)::numeric <= u.quantity_min
                THEN sqlc.arg(quantity)::numeric
            WHEN sqlc.arg(quantity_before)::numeric > u.quantity_min THEN u.quantity_min
            ELSE kept_usage(
                u.tenant_id, u.subscription_item_id, u.hour, u.hour + interval '3599.999999 seconds', false
            )
        END
    WHERE u.tenant_id = sqlc.arg(tenant_id) AND u.subscription_item_id = sqlc.arg(subscription_item_id)
        AND u.hour = date_trunc('hour', sqlc.arg(recorded_at)::timestamptz, 'UTC')
)
UPDATE usage_totals t
SET record_count = t.record_count + sqlc.arg(record_count)::bigint,
    quantity_sum = t.quantity_sum + sqlc.arg(quantity)::numeric - sqlc.arg(quantity_before)::numeric,
    quantity_max = CASE
        WHEN sqlc.arg(quantity)::numeric >= t.quantity_max THEN sqlc.arg(quantity)::numeric
        WHEN sqlc.arg(quantity_before)::numeric < t.quantity_max THEN t.quantity_max
        ELSE coalesce(
            kept_usage(t.tenant_id, t.subscription_item_id, t.period_start, t.last_recorded_at, true), 0
        )
    END,
    quantity_min = CASE
        WHEN NOT sqlc.arg(has_min)::boolean THEN t.quantity_min
        WHEN sqlc.arg(record_count)::bigint = 0 AND sqlc.arg(quantity)::numeric <= t.quantity_min
            THEN sqlc.arg(quantity)::numeric
        WHEN sqlc.arg(quantity_before)::numeric > t.quantity_min THEN t.quantity_min
        ELSE kept_usage(t.tenant_id, t.subscription_item_id, t.period_start, t.last_recorded_at, false)
    END,
    unrated = true, version = t.version + 1
WHERE t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_item_id = sqlc.arg(subscription_item_id)
    AND t.period_start = sqlc.arg(period_start)
RETURNING *;

-- name: MarkFilteredUsageCorrected :one
-- The same for a record that the meter's filters leave out: nothing that is billed changes.
UPDATE usage_totals t
SET filtered_count = t.filtered_count + sqlc.arg(record_count)::bigint,
    filtered_sum = t.filtered_sum + sqlc.arg(quantity)::numeric - sqlc.arg(quantity_before)::numeric,
    version = t.version + 1
WHERE t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_item_id = sqlc.arg(subscription_item_id)
    AND t.period_start = sqlc.arg(period_start)
RETURNING *;

-- name: ListUsageCorrections :many
-- Newest first; '' means any subscription or key.
SELECT * FROM usage_corrections
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(subscription_id)::text = '' OR subscription_id = sqlc.arg(subscription_id)::text)
    AND (sqlc.arg(key)::text = '' OR key = nullif(sqlc.arg(key)::text, '')::uuid)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;
