-- name: InsertCoupon :one
INSERT INTO coupons (
    tenant_id, id, code, name, kind, percent, amount_minor, currency, duration, duration_invoices, max_redemptions,
    valid_from, valid_until, price_ids, created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(code), sqlc.arg(name), sqlc.arg(kind), sqlc.arg(percent),
    sqlc.arg(amount_minor), sqlc.arg(currency), sqlc.arg(duration), sqlc.arg(duration_invoices),
    sqlc.arg(max_redemptions), sqlc.arg(valid_from), sqlc.narg(valid_until), sqlc.arg(price_ids)::text[],
    sqlc.arg(created_at)
)
RETURNING *;

-- name: FindCoupon :one
SELECT * FROM coupons WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: FindCouponByCode :one
-- Locked, so that it is not redeemed more often than it can be.
SELECT * FROM coupons WHERE tenant_id = sqlc.arg(tenant_id) AND code = sqlc.arg(code) FOR UPDATE;

-- name: ListCoupons :many
-- Newest first; '' means any code.
SELECT * FROM coupons
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(code)::text = '' OR code = sqlc.arg(code)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkCouponRedeemed :one
UPDATE coupons SET redemptions = redemptions + 1, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING *;

-- name: MarkCouponArchived :one
-- Once.
UPDATE coupons SET status = 'archived', version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND status = 'active'
RETURNING *;

-- name: InsertDiscount :one
INSERT INTO discounts (tenant_id, id, coupon_id, customer_id, subscription_id, remaining_invoices, redeemed_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(coupon_id), sqlc.arg(customer_id), sqlc.narg(subscription_id),
    sqlc.narg(remaining_invoices), sqlc.arg(redeemed_at)
)
RETURNING *;

-- name: FindDiscount :one
SELECT * FROM discounts WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListDiscounts :many
-- Newest first; '' means any customer.
SELECT * FROM discounts
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(customer_id)::text = '' OR customer_id = sqlc.arg(customer_id)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListDiscountsInForce :many
-- Of several customers at once, with what their coupons say; oldest first.
SELECT
    d.id, d.customer_id, d.subscription_id, d.remaining_invoices, d.version, d.coupon_id, c.name, c.kind, c.percent,
    c.amount_minor, c.currency, c.price_ids
FROM discounts d JOIN coupons c ON c.tenant_id = d.tenant_id AND c.id = d.coupon_id
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.customer_id = ANY (sqlc.arg(customer_ids)::text[])
    AND d.ended_at IS NULL
ORDER BY d.id;

-- name: MarkDiscountEnded :one
-- Once.
UPDATE discounts SET ended_at = sqlc.arg(ended_at)::timestamptz, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND ended_at IS NULL
RETURNING *;

-- name: MarkDiscounts :exec
-- Writes what invoices left of discounts; the arrays run in parallel. Those that are for no more have ended.
UPDATE discounts AS d
SET remaining_invoices = u.remaining_invoices, version = u.version,
    ended_at = CASE u.remaining_invoices WHEN 0 THEN sqlc.narg(used_at)::timestamptz END
FROM (
    SELECT
        unnest(sqlc.arg(ids)::text[]) AS id,
        unnest(sqlc.arg(remaining_invoices)::int[]) AS remaining_invoices,
        unnest(sqlc.arg(versions)::bigint[]) AS version
) u
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.id = u.id;

-- name: ListRestorableDiscounts :many
-- Of those that a voided invoice used, all that it can be given back to: not taken away, nor redeemed anew since.
SELECT d.* FROM discounts d
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.id = ANY (sqlc.arg(ids)::text[]) AND d.remaining_invoices IS NOT NULL
    AND (d.ended_at IS NULL OR d.remaining_invoices = 0)
    AND NOT EXISTS (
        SELECT 1 FROM discounts o
        WHERE o.tenant_id = d.tenant_id AND o.customer_id = d.customer_id AND o.coupon_id = d.coupon_id
            AND o.subscription_id IS NOT DISTINCT FROM d.subscription_id AND o.id <> d.id AND o.ended_at IS NULL
    )
ORDER BY d.id;

-- name: ListCouponsByIds :many
SELECT * FROM coupons
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[])
ORDER BY id;
