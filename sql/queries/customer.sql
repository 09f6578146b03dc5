-- name: InsertCustomer :one
-- What is not said is as the tenant has it; no row when there is no such tenant.
INSERT INTO customers (
    tenant_id, id, external_id, currency, timezone, language, name, company, email, tax_id, address,
    consolidate_invoices, created_at, updated_at
)
SELECT
    t.id, sqlc.arg(id)::text, sqlc.narg(external_id)::text, coalesce(sqlc.narg(currency)::text, t.default_currency),
    coalesce(sqlc.narg(timezone)::text, t.timezone), sqlc.arg(language)::text, sqlc.arg(name)::text,
    sqlc.arg(company)::text, sqlc.arg(email)::text, sqlc.arg(tax_id)::text, sqlc.narg(address)::jsonb,
    sqlc.arg(consolidate_invoices)::boolean, sqlc.arg(created_at)::timestamptz, sqlc.arg(created_at)::timestamptz
FROM tenants t
WHERE t.id = sqlc.arg(tenant_id)
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

-- name: FindObstacle :one
-- Why a customer cannot be erased yet: what runs, is still to be invoiced, or is not settled.
SELECT o.kind::text AS kind, o.id::text AS id
FROM (
    SELECT 1 AS rank, 'subscription' AS kind, s.id FROM subscriptions s
    WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.customer_id = sqlc.arg(customer_id) AND s.state <> 'canceled'
    UNION ALL
    SELECT 2, 'billing_cycle', c.id FROM subscriptions s
    JOIN billing_cycles c ON c.tenant_id = s.tenant_id AND c.subscription_id = s.id
    WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.customer_id = sqlc.arg(customer_id)
        AND c.state <> 'invoiced' AND NOT (c.trial AND c.state = 'closed')
    UNION ALL
    SELECT 3, 'invoice', i.id FROM invoices i
    WHERE i.tenant_id = sqlc.arg(tenant_id) AND i.customer_id = sqlc.arg(customer_id) AND i.state IN ('draft', 'open')
) o
ORDER BY o.rank, o.id
LIMIT 1;

-- name: EraseCustomer :one
UPDATE customers
SET external_id = NULL, name = '', company = '', email = '', tax_id = '', address = NULL, status = 'erased',
    erased_at = sqlc.arg(erased_at)::timestamptz, updated_at = sqlc.arg(erased_at)::timestamptz, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING *;

-- name: KeepBillTo :exec
-- Before a customer is erased: invoices that were issued must say to whom.
UPDATE invoices i
SET bill_to = jsonb_build_object('name', c.name, 'company', c.company, 'tax_id', c.tax_id, 'address', c.address)
FROM customers c
WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = sqlc.arg(customer_id)
    AND i.tenant_id = c.tenant_id AND i.customer_id = c.id AND i.number IS NOT NULL;

-- name: EraseExemptionReference :exec
UPDATE tax_exemptions SET reference = '' WHERE tenant_id = sqlc.arg(tenant_id) AND customer_id = sqlc.arg(customer_id);
