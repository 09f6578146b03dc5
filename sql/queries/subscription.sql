-- name: InsertSubscription :one
INSERT INTO subscriptions (
    tenant_id, id, customer_id, plan_id, state, currency, interval_unit, interval_count, timezone, anchor_at, start_at,
    trial_end_at, current_period_start, current_period_end, created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(customer_id), sqlc.narg(plan_id), sqlc.arg(state), sqlc.arg(currency),
    sqlc.arg(interval_unit), sqlc.arg(interval_count), sqlc.arg(timezone), sqlc.arg(anchor_at), sqlc.arg(start_at),
    sqlc.narg(trial_end_at), sqlc.narg(current_period_start), sqlc.narg(current_period_end), sqlc.arg(created_at)
)
RETURNING *;

-- name: InsertSubscriptionItems :many
-- In the order given; the arrays run in parallel, and '' is no quantity. Metered prices bring their meter along.
INSERT INTO subscription_items (tenant_id, id, subscription_id, position, price_id, meter_code, aggregation, quantity)
SELECT sqlc.arg(tenant_id), i.id, sqlc.arg(subscription_id), i.position, i.price_id, m.code, m.aggregation,
    nullif(i.quantity, '')::numeric
FROM (
    SELECT
        unnest(sqlc.arg(ids)::text[]) AS id,
        unnest(sqlc.arg(positions)::int[]) AS position,
        unnest(sqlc.arg(price_ids)::text[]) AS price_id,
        unnest(sqlc.arg(quantities)::text[]) AS quantity
) i
JOIN prices p ON p.tenant_id = sqlc.arg(tenant_id) AND p.id = i.price_id
LEFT JOIN meters m ON m.tenant_id = p.tenant_id AND m.id = p.meter_id
RETURNING *;

-- name: ListPricesForItems :many
-- The prices that a new subscription names, in no order.
SELECT id, code, currency, usage, meter_id, interval_unit, interval_count, max_quantity
FROM prices
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: FindSubscription :one
SELECT * FROM subscriptions WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

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
-- Of several subscriptions at once, each subscription's in its own order.
SELECT * FROM subscription_items
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = ANY (sqlc.arg(subscription_ids)::text[])
ORDER BY subscription_id, position;

-- name: MarkSubscription :one
-- Writes what the lifecycle decided; the version guards against a change in between.
UPDATE subscriptions
SET state = sqlc.arg(state), current_period_start = sqlc.narg(current_period_start),
    current_period_end = sqlc.narg(current_period_end), cancel_at_period_end = sqlc.arg(cancel_at_period_end),
    canceled_at = sqlc.narg(canceled_at), ended_at = sqlc.narg(ended_at), version = sqlc.arg(new_version)
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version)
RETURNING *;
