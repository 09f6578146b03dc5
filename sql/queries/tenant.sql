-- name: InsertTenant :one
INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, auto_finalize, proration_grain, created_at)
VALUES (
    sqlc.arg(id), sqlc.arg(name), sqlc.arg(slug), sqlc.arg(mode), sqlc.arg(default_currency), sqlc.arg(timezone),
    sqlc.arg(auto_finalize), sqlc.arg(proration_grain), sqlc.arg(created_at)
)
RETURNING *;

-- name: InsertTestClock :exec
INSERT INTO test_clocks (tenant_id, now_at, target_at)
VALUES (sqlc.arg(tenant_id), sqlc.arg(now_at), sqlc.arg(now_at));

-- name: FindTenant :one
SELECT * FROM tenants WHERE id = sqlc.arg(tenant_id);

-- name: TouchTenant :one
-- Something of the tenant's changed that is kept elsewhere.
UPDATE tenants SET version = version + 1 WHERE id = sqlc.arg(tenant_id) RETURNING *;

-- name: ListTenants :many
-- Newest first, without the platform's own.
SELECT * FROM tenants
WHERE id <> 'ten_platform' AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: FindTenantKey :one
SELECT * FROM tenant_keys WHERE tenant_id = sqlc.arg(tenant_id);

-- name: AddTenantKey :exec
-- The first one made stays.
INSERT INTO tenant_keys (tenant_id, wrapped_key, created_at)
VALUES (sqlc.arg(tenant_id), sqlc.arg(wrapped_key), sqlc.arg(created_at))
ON CONFLICT (tenant_id) DO NOTHING;
