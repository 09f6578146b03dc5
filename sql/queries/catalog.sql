-- name: InsertProduct :one
INSERT INTO products (tenant_id, id, code, name, tax_category, created_at)
VALUES (sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(code), sqlc.arg(name), sqlc.arg(tax_category), sqlc.arg(created_at))
RETURNING *;

-- name: FindProduct :one
SELECT * FROM products WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListProducts :many
-- `code` '' means any.
SELECT * FROM products
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(code)::text = '' OR code = sqlc.arg(code)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: InsertMeter :one
INSERT INTO meters (tenant_id, id, code, name, aggregation, unit, filters, transform, unique_property, created_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(code), sqlc.arg(name), sqlc.arg(aggregation), sqlc.arg(unit),
    sqlc.arg(filters), nullif(sqlc.arg(transform)::jsonb, 'null'), sqlc.arg(unique_property), sqlc.arg(created_at)
)
RETURNING *;

-- name: FindMeter :one
SELECT * FROM meters WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListMeters :many
-- `code` '' means any.
SELECT * FROM meters
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(code)::text = '' OR code = sqlc.arg(code)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: InsertPrice :one
INSERT INTO prices (
    tenant_id, id, product_id, code, price_version, currency, model, usage, meter_id, interval_unit, interval_count,
    unit_amount, unit_size, tiers, included_quantity, minimum_amount, maximum_amount, no_flat_amount_when_unused,
    dimensions, cells, default_unit_amount, percentage, max_quantity, one_time, currency_options, description, created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(product_id), sqlc.arg(code), sqlc.arg(price_version), sqlc.arg(currency),
    sqlc.arg(model), sqlc.arg(usage), sqlc.narg(meter_id), sqlc.narg(interval_unit), sqlc.narg(interval_count),
    sqlc.narg(unit_amount), sqlc.arg(unit_size), sqlc.arg(tiers), sqlc.arg(included_quantity), sqlc.narg(minimum_amount),
    sqlc.narg(maximum_amount), sqlc.arg(no_flat_amount_when_unused), sqlc.arg(dimensions), sqlc.arg(cells),
    sqlc.narg(default_unit_amount), nullif(sqlc.arg(percentage)::jsonb, 'null'), sqlc.narg(max_quantity),
    sqlc.arg(one_time), sqlc.arg(currency_options), sqlc.arg(description), sqlc.arg(created_at)
)
RETURNING *;

-- name: GetLastPriceVersion :one
-- 0 when the code is new.
SELECT coalesce(max(price_version), 0)::int AS last_version
FROM prices
WHERE tenant_id = sqlc.arg(tenant_id) AND code = sqlc.arg(code);

-- name: FindPrice :one
SELECT * FROM prices WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListPrices :many
-- `code` '' means any.
SELECT * FROM prices
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(code)::text = '' OR code = sqlc.arg(code)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: InsertPlan :one
INSERT INTO plans (tenant_id, id, code, name, offered, created_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(code), sqlc.arg(name), sqlc.arg(offered), sqlc.arg(created_at)
)
RETURNING *;

-- name: InsertPlanItems :exec
-- In the order given; the arrays run in parallel, and '' is no quantity.
INSERT INTO plan_items (tenant_id, plan_id, position, price_id, quantity)
SELECT sqlc.arg(tenant_id), sqlc.arg(plan_id), i.position, i.price_id, nullif(i.quantity, '')::numeric
FROM (
    SELECT
        unnest(sqlc.arg(positions)::int[]) AS position,
        unnest(sqlc.arg(price_ids)::text[]) AS price_id,
        unnest(sqlc.arg(quantities)::text[]) AS quantity
) i;

-- name: FindPlan :one
SELECT * FROM plans WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListPlans :many
-- `code` '' means any.
SELECT * FROM plans
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(code)::text = '' OR code = sqlc.arg(code)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListPlansOfAccount :many
-- What those limited to an account see: what is offered, and what they have, or had, a subscription to. `id` and
-- `code` '' mean any.
SELECT p.* FROM plans AS p
WHERE p.tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(id)::text = '' OR p.id = sqlc.arg(id)::text)
    AND (sqlc.arg(code)::text = '' OR p.code = sqlc.arg(code)::text)
    AND (sqlc.arg(after)::text = '' OR p.id < sqlc.arg(after)::text)
    AND (
        p.offered
        OR p.id IN (
            SELECT s.plan_id FROM subscriptions AS s
            JOIN customers AS c ON c.tenant_id = s.tenant_id AND c.id = s.customer_id
            WHERE s.tenant_id = sqlc.arg(tenant_id) AND c.external_id = sqlc.arg(account)::text
        )
    )
ORDER BY p.id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkPlanOffered :one
UPDATE plans SET offered = sqlc.arg(offered), version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING *;

-- name: ListPlanItems :many
-- Of several plans at once, each plan's in its own order.
SELECT * FROM plan_items
WHERE tenant_id = sqlc.arg(tenant_id) AND plan_id = ANY (sqlc.arg(plan_ids)::text[])
ORDER BY plan_id, position;

-- name: MarkPlanDeprecated :one
UPDATE plans SET status = 'deprecated', version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING *;

-- name: ListMetersByIds :many
SELECT * FROM meters WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);
