-- name: FindCredential :one
-- The only query without a tenant: it is what tells whose call this is.
-- nullable: expires_at, revoked_at, last_used_at
SELECT
    k.tenant_id::text AS tenant_id, k.tenant_status::text AS tenant_status, k.role::text AS role,
    k.scopes::text[] AS scopes, k.secret_hash::bytea AS secret_hash, k.expires_at::timestamptz AS expires_at,
    k.revoked_at::timestamptz AS revoked_at, k.last_used_at::timestamptz AS last_used_at
FROM find_api_key(sqlc.arg(id)::text) AS k (
    tenant_id, tenant_status, role, scopes, secret_hash, expires_at, revoked_at, last_used_at
);

-- name: InsertApiKey :one
INSERT INTO api_keys (tenant_id, id, name, role, scopes, prefix, secret_hash, created_at, expires_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(name), sqlc.arg(role), sqlc.arg(scopes)::text[], sqlc.arg(prefix),
    sqlc.arg(secret_hash), sqlc.arg(created_at), sqlc.narg(expires_at)
)
RETURNING *;

-- name: FindApiKey :one
SELECT * FROM api_keys WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListApiKeys :many
-- Newest first.
SELECT * FROM api_keys
WHERE tenant_id = sqlc.arg(tenant_id) AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkApiKeyUsed :exec
-- At most once a minute, of all processes together.
UPDATE api_keys SET last_used_at = sqlc.arg(used_at)::timestamptz
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
    AND (last_used_at IS NULL OR last_used_at <= sqlc.arg(used_at)::timestamptz - interval '1 minute');

-- name: MarkApiKeyRotated :one
UPDATE api_keys
SET replaced_by = sqlc.arg(replaced_by)::text, expires_at = sqlc.arg(expires_at)::timestamptz, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING *;

-- name: MarkApiKeyRevoked :one
UPDATE api_keys SET revoked_at = sqlc.arg(revoked_at)::timestamptz, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND revoked_at IS NULL
RETURNING *;

-- name: HasUsableKey :one
SELECT EXISTS (
    SELECT FROM api_keys AS k
    WHERE k.tenant_id = sqlc.arg(tenant_id) AND k.role = sqlc.arg(role) AND k.revoked_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > sqlc.arg(now)::timestamptz)
) AS usable;

-- name: FindOwnCustomer :one
-- The customer that a consumer's token stands for.
SELECT id FROM customers WHERE tenant_id = sqlc.arg(tenant_id) AND external_id = sqlc.arg(external_id)::text;

-- name: ListOwners :many
-- Which customer each of the ids belongs to: of what consumers may name in a call.
SELECT c.id, c.id::text AS customer_id FROM customers AS c
WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = ANY (sqlc.arg(ids)::text[])
UNION ALL
SELECT s.id, s.customer_id FROM subscriptions AS s
WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.id = ANY (sqlc.arg(ids)::text[])
UNION ALL
SELECT i.id, i.customer_id FROM invoices AS i
WHERE i.tenant_id = sqlc.arg(tenant_id) AND i.id = ANY (sqlc.arg(ids)::text[])
UNION ALL
SELECT l.id, i.customer_id FROM invoice_lines AS l
JOIN invoices AS i ON i.tenant_id = l.tenant_id AND i.id = l.invoice_id
WHERE l.tenant_id = sqlc.arg(tenant_id) AND l.id = ANY (sqlc.arg(ids)::text[])
UNION ALL
SELECT g.id, g.customer_id FROM credits AS g
WHERE g.tenant_id = sqlc.arg(tenant_id) AND g.id = ANY (sqlc.arg(ids)::text[]);
