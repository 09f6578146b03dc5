-- name: InsertPriceOverride :one
INSERT INTO price_overrides (
    tenant_id, id, price_id, customer_id, subscription_id, currency, unit_amount, tiers, included_quantity,
    minimum_amount, maximum_amount, max_quantity, valid_from, valid_until, created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(price_id), sqlc.arg(customer_id), sqlc.narg(subscription_id),
    sqlc.arg(currency), sqlc.narg(unit_amount), sqlc.arg(tiers), sqlc.arg(included_quantity), sqlc.narg(minimum_amount),
    sqlc.narg(maximum_amount), sqlc.narg(max_quantity), sqlc.arg(valid_from), sqlc.narg(valid_until), sqlc.arg(created_at)
)
RETURNING *;

-- name: FindPriceOverride :one
SELECT * FROM price_overrides WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListPriceOverrides :many
-- Newest first; '' means any customer, subscription or price.
SELECT * FROM price_overrides
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(customer_id)::text = '' OR customer_id = sqlc.arg(customer_id)::text)
    AND (sqlc.arg(subscription_id)::text = '' OR subscription_id = sqlc.arg(subscription_id)::text)
    AND (sqlc.arg(price_id)::text = '' OR price_id = sqlc.arg(price_id)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: CountPriceOverrides :one
-- Of a price, for a customer and all of its subscriptions, those that are over too.
SELECT count(*)::bigint AS overrides
FROM price_overrides
WHERE tenant_id = sqlc.arg(tenant_id) AND customer_id = sqlc.arg(customer_id) AND price_id = sqlc.arg(price_id);

-- name: ReplacePriceOverrides :many
-- Ends those of the same price, for the same customer or subscription ('' for none), that would be in force from then on.
UPDATE price_overrides
SET valid_until = greatest(valid_from, sqlc.arg(ends_at)::timestamptz), version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND customer_id = sqlc.arg(customer_id) AND price_id = sqlc.arg(price_id)
    AND coalesce(subscription_id, '') = sqlc.arg(subscription_id)::text
    AND coalesce(valid_until > greatest(valid_from, sqlc.arg(ends_at)::timestamptz), true)
RETURNING *;

-- name: MarkPriceOverrideEnded :one
-- No row when it is over by then.
UPDATE price_overrides
SET valid_until = greatest(valid_from, sqlc.arg(ends_at)::timestamptz), version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
    AND coalesce(valid_until > greatest(valid_from, sqlc.arg(ends_at)::timestamptz), true)
RETURNING *;

-- name: MarkItemsOverridden :exec
-- Items that the override may be of: rating looks for it, and no more is accepted than an invoice line can hold.
WITH changed AS (
    UPDATE subscriptions s SET terms_version = s.terms_version + 1
    WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.customer_id = sqlc.arg(customer_id)
        AND s.currency = sqlc.arg(currency)
        AND (sqlc.arg(subscription_id)::text = '' OR s.id = sqlc.arg(subscription_id)::text)
    RETURNING s.tenant_id, s.id
)
UPDATE subscription_items i
SET overridden = true, max_quantity = least(i.max_quantity, sqlc.narg(max_quantity)::numeric)
FROM changed s
WHERE i.tenant_id = s.tenant_id AND i.subscription_id = s.id AND i.price_id = sqlc.arg(price_id)
    AND i.ends_at > sqlc.arg(valid_from)::timestamptz;

-- name: HasItemsBeyond :one
-- Whether an item that the override may be of has more than that already, of itself or used since then; or will have,
-- by a change that is scheduled.
SELECT (EXISTS (
    SELECT FROM subscriptions s
    JOIN subscription_items i ON i.tenant_id = s.tenant_id AND i.subscription_id = s.id
    WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.customer_id = sqlc.arg(customer_id)
        AND s.currency = sqlc.arg(currency)
        AND (sqlc.arg(subscription_id)::text = '' OR s.id = sqlc.arg(subscription_id)::text)
        AND i.price_id = sqlc.arg(price_id) AND i.ends_at > sqlc.arg(valid_from)::timestamptz
        AND (
            i.quantity > sqlc.arg(max_quantity)::numeric
            OR EXISTS (
                SELECT FROM usage_totals t
                WHERE t.tenant_id = i.tenant_id AND t.subscription_item_id = i.id
                    AND t.period_start >= sqlc.arg(valid_from)::timestamptz
                    AND greatest(t.quantity_sum, t.quantity_max, t.record_count) > sqlc.arg(max_quantity)::numeric
            )
        )
) OR EXISTS (
    SELECT FROM subscriptions s
    JOIN subscription_changes c ON c.tenant_id = s.tenant_id AND c.subscription_id = s.id AND c.state = 'scheduled'
    CROSS JOIN LATERAL jsonb_array_elements(c.items) w
    WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.customer_id = sqlc.arg(customer_id)
        AND (sqlc.arg(subscription_id)::text = '' OR s.id = sqlc.arg(subscription_id)::text)
        AND w ->> 'price_id' = sqlc.arg(price_id)::text
        AND nullif(w ->> 'quantity', '')::numeric > sqlc.arg(max_quantity)::numeric
))::boolean AS beyond;

-- name: ListOverridesOfSubscriptions :many
-- Of some subscriptions and prices, those that ever were or will be in force; a subscription's own come first.
SELECT s.id AS for_subscription_id, o.*
FROM subscriptions s
JOIN price_overrides o ON o.tenant_id = s.tenant_id AND o.customer_id = s.customer_id AND o.currency = s.currency
WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.id = ANY (sqlc.arg(subscription_ids)::text[])
    AND o.price_id = ANY (sqlc.arg(price_ids)::text[])
    AND coalesce(o.subscription_id, s.id) = s.id AND coalesce(o.valid_from < o.valid_until, true)
ORDER BY o.subscription_id IS NULL, o.id;

-- name: ListPriceOverridesByIds :many
SELECT * FROM price_overrides WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);
