-- name: InsertSubscription :one
INSERT INTO subscriptions (
    tenant_id, id, customer_id, plan_id, state, currency, interval_unit, interval_count, timezone, anchor_at, start_at,
    trial_end_at, current_period_start, current_period_end, commitments, spend_thresholds,
    created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(customer_id), sqlc.narg(plan_id), sqlc.arg(state), sqlc.arg(currency),
    sqlc.arg(interval_unit), sqlc.arg(interval_count), sqlc.arg(timezone), sqlc.arg(anchor_at), sqlc.arg(start_at),
    sqlc.narg(trial_end_at), sqlc.narg(current_period_start), sqlc.narg(current_period_end),
    sqlc.narg(commitments), sqlc.narg(spend_thresholds), sqlc.arg(created_at)
)
RETURNING *;

-- name: InsertSubscriptionItems :many
-- In the order given; the arrays run in parallel, and '' is no quantity. Metered prices bring their meter along.
INSERT INTO subscription_items (
    tenant_id, id, subscription_id, position, price_id, meter_code, aggregation, quantity, one_time, max_quantity, overridden,
    starts_at, billed_from
)
SELECT sqlc.arg(tenant_id), i.id, sqlc.arg(subscription_id), i.position, i.price_id, m.code, m.aggregation,
    nullif(i.quantity, '')::numeric, p.one_time,
    least(
        CASE
            WHEN p.currency = s.currency THEN p.max_quantity
            ELSE (
                SELECT nullif(o ->> 'max_quantity', '')::numeric
                FROM jsonb_array_elements(p.currency_options) o
                WHERE o ->> 'currency' = s.currency
            )
        END,
        n.max_quantity
    ),
    n.overridden,
    sqlc.arg(starts_at)::timestamptz, i.billed_from
FROM (
    SELECT
        unnest(sqlc.arg(ids)::text[]) AS id,
        unnest(sqlc.arg(positions)::int[]) AS position,
        unnest(sqlc.arg(price_ids)::text[]) AS price_id,
        unnest(sqlc.arg(quantities)::text[]) AS quantity,
        unnest(sqlc.arg(billed_from)::timestamptz[]) AS billed_from
) i
JOIN prices p ON p.tenant_id = sqlc.arg(tenant_id) AND p.id = i.price_id
JOIN subscriptions s ON s.tenant_id = p.tenant_id AND s.id = sqlc.arg(subscription_id)
CROSS JOIN LATERAL (
    SELECT min(o.max_quantity) AS max_quantity, count(*) > 0 AS overridden
    FROM price_overrides o
    WHERE o.tenant_id = s.tenant_id AND o.customer_id = s.customer_id AND o.price_id = p.id
        AND o.currency = s.currency AND coalesce(o.subscription_id, s.id) = s.id
        AND coalesce(o.valid_from < o.valid_until, true)
) n
LEFT JOIN meters m ON m.tenant_id = p.tenant_id AND m.id = p.meter_id
RETURNING *;

-- name: ListPricesForItems :many
-- The prices that a new subscription names, in no order.
SELECT id, code, currency, currency_options, usage, meter_id, one_time, interval_unit, interval_count, max_quantity
FROM prices
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: FindSubscription :one
SELECT * FROM subscriptions WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListSubscriptionCurrencies :many
-- What some subscriptions are paid in.
SELECT id, currency FROM subscriptions
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: ListSubscriptions :many
-- Newest first; '' means any customer or state.
SELECT * FROM subscriptions
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(customer_id)::text = '' OR customer_id = sqlc.arg(customer_id)::text)
    AND (sqlc.arg(state)::text = '' OR state = sqlc.arg(state)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListSubscriptionItems :many
-- What several subscriptions are made of now, or were when they were paused; each one's in its own order.
SELECT * FROM subscription_items
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = ANY (sqlc.arg(subscription_ids)::text[])
    AND (ends_at = '9000-01-01 00:00:00+00' OR paused)
ORDER BY subscription_id, position;

-- name: MarkItemPositions :exec
-- Where items that stay stand among those that a change adds; the arrays run in parallel.
UPDATE subscription_items i SET position = n.position
FROM (SELECT unnest(sqlc.arg(ids)::text[]) AS id, unnest(sqlc.arg(positions)::int[]) AS position) n
WHERE i.tenant_id = sqlc.arg(tenant_id) AND i.id = n.id;

-- name: EndSubscriptionItems :exec
-- Items replaced, removed or paused; those whose fee runs on until then stay billed.
UPDATE subscription_items
SET ends_at = sqlc.arg(ends_at), billed_until = greatest(billed_from, sqlc.arg(billed_until)::timestamptz),
    paused = sqlc.arg(paused)
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: MarkSubscriptionResumed :exec
-- The items that the pause ended have successors now.
UPDATE subscription_items SET paused = false
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id) AND paused;

-- name: EndSubscriptionFees :exec
-- Service stops: so do all fees, also of items that were replaced but billed on.
UPDATE subscription_items SET billed_until = greatest(billed_from, sqlc.arg(billed_until)::timestamptz)
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id)
    AND billed_until > sqlc.arg(billed_until)::timestamptz;

-- name: EndUsageTotals :exec
-- The bounds of what was used of items that end.
UPDATE usage_totals SET period_end = sqlc.arg(ends_at)::timestamptz
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_item_id = ANY (sqlc.arg(ids)::text[])
    AND period_end > sqlc.arg(ends_at)::timestamptz AND period_start <= sqlc.arg(ends_at)::timestamptz;

-- name: GetItemChanges :one
-- When items last began or ended, also one that has no successor; and how many began since then. What ended before
-- is not looked at.
SELECT
    coalesce(
        max(CASE WHEN i.ends_at < '9000-01-01 00:00:00+00' THEN i.ends_at ELSE i.starts_at END), '1000-01-01 00:00:00+00'
    )::timestamptz AS changed_at,
    count(*) FILTER (WHERE i.starts_at >= sqlc.arg(since)::timestamptz)::bigint AS begun
FROM subscription_items i
WHERE i.tenant_id = sqlc.arg(tenant_id) AND i.subscription_id = sqlc.arg(subscription_id)
    AND i.ends_at >= sqlc.arg(since)::timestamptz;

-- name: HasUsageSince :one
-- Whether records of these items bear that time or a later one.
SELECT EXISTS (
    SELECT FROM usage_totals t
    WHERE t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_item_id = ANY (sqlc.arg(ids)::text[])
        AND t.last_recorded_at >= sqlc.arg(since)::timestamptz
)::boolean AS used;

-- name: InsertSubscriptionChange :one
INSERT INTO subscription_changes (
    tenant_id, id, subscription_id, state, effective_at, plan_id, items, proration_behavior, minimum_commitment_minor,
    created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(subscription_id), sqlc.arg(state), sqlc.arg(effective_at),
    sqlc.narg(plan_id), sqlc.arg(items), sqlc.arg(proration_behavior),
    sqlc.narg(minimum_commitment_minor), sqlc.arg(created_at)
)
RETURNING *;

-- name: FindScheduledChange :one
SELECT * FROM subscription_changes
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id) AND state = 'scheduled';

-- name: MarkScheduledChange :exec
-- What became of the change that waited, if any.
UPDATE subscription_changes SET state = sqlc.arg(state)
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id) AND state = 'scheduled';

-- name: MarkSubscription :one
-- Writes what the lifecycle decided; the version guards against a change in between.
UPDATE subscriptions
SET state = sqlc.arg(state), current_period_start = sqlc.narg(current_period_start),
    current_period_end = sqlc.narg(current_period_end), cancel_at_period_end = sqlc.arg(cancel_at_period_end),
    canceled_at = sqlc.narg(canceled_at), ended_at = sqlc.narg(ended_at), paused_at = sqlc.narg(paused_at),
    next_change_at = sqlc.narg(next_change_at), plan_id = sqlc.narg(plan_id), commitments = sqlc.narg(commitments),
    spend_thresholds = sqlc.narg(spend_thresholds),
    version = sqlc.arg(new_version)
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version)
RETURNING *;
