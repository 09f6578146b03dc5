-- name: InsertCredit :one
INSERT INTO credits (
    tenant_id, id, customer_id, kind, currency, amount_minor, remaining_minor, valid_from, valid_until, priority,
    description, created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(customer_id), sqlc.arg(kind), sqlc.arg(currency),
    sqlc.arg(amount_minor), sqlc.arg(amount_minor), sqlc.arg(valid_from), sqlc.narg(valid_until), sqlc.arg(priority),
    sqlc.arg(description), sqlc.arg(created_at)
)
RETURNING *;

-- name: FindCredit :one
SELECT * FROM credits WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListCredits :many
-- Newest first; '' means any customer.
SELECT * FROM credits
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(customer_id)::text = '' OR customer_id = sqlc.arg(customer_id)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListRemainingCredits :many
-- Of several customers at once: what has something left, whether it holds now or not.
SELECT * FROM credits
WHERE tenant_id = sqlc.arg(tenant_id) AND customer_id = ANY (sqlc.arg(customer_ids)::text[])
    AND remaining_minor > 0 AND voided_at IS NULL
ORDER BY id;

-- name: MarkCreditVoided :one
-- Once.
UPDATE credits SET voided_at = sqlc.arg(voided_at)::timestamptz, remaining_minor = 0, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version) AND voided_at IS NULL
RETURNING *;

-- name: MarkCreditsExpired :exec
-- Nothing is left of them any more, also when it is given back later.
UPDATE credits SET expired_at = sqlc.arg(expired_at)::timestamptz, remaining_minor = 0, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]) AND voided_at IS NULL;

-- name: ListCreditsByIds :many
SELECT * FROM credits
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[])
ORDER BY id;

-- name: MarkCredits :exec
-- Writes what invoices left of credits; the arrays run in parallel.
UPDATE credits AS c
SET remaining_minor = u.remaining_minor, version = u.version
FROM (
    SELECT
        unnest(sqlc.arg(ids)::text[]) AS id,
        unnest(sqlc.arg(remaining_minor)::bigint[]) AS remaining_minor,
        unnest(sqlc.arg(versions)::bigint[]) AS version
) u
WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = u.id;
