-- name: InsertCustomer :one
INSERT INTO customers (
    tenant_id, id, external_id, currency, timezone, language, name, company, email, tax_id, address,
    consolidate_invoices, created_at, updated_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.narg(external_id), sqlc.arg(currency), sqlc.arg(timezone),
    sqlc.arg(language), sqlc.arg(name), sqlc.arg(company), sqlc.arg(email), sqlc.arg(tax_id), sqlc.narg(address),
    sqlc.arg(consolidate_invoices), sqlc.arg(created_at), sqlc.arg(created_at)
)
RETURNING *;

-- name: FindCustomer :one
SELECT * FROM customers WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: ListCustomers :many
-- Newest first; `external_id` '' means any.
SELECT * FROM customers
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(external_id)::text = '' OR external_id = sqlc.arg(external_id)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkCustomerUpdated :one
UPDATE customers
SET timezone = sqlc.arg(timezone), language = sqlc.arg(language), name = sqlc.arg(name), company = sqlc.arg(company),
    email = sqlc.arg(email), tax_id = sqlc.arg(tax_id), address = sqlc.narg(address),
    consolidate_invoices = sqlc.arg(consolidate_invoices), updated_at = sqlc.arg(updated_at), version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version)
RETURNING *;

-- name: TouchCustomer :one
-- Something of the customer's changed that is kept elsewhere.
UPDATE customers SET updated_at = sqlc.arg(updated_at), version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING *;
