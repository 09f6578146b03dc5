-- name: InsertTaxRate :one
INSERT INTO tax_rates (tenant_id, id, name, country, region, category, percent, compound, created_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(name), sqlc.arg(country), sqlc.arg(region), sqlc.arg(category),
    sqlc.arg(percent), sqlc.arg(compound), sqlc.arg(created_at)
)
RETURNING *;

-- name: ListTaxRates :many
-- A page of those in force, wider jurisdictions first, then older ones; '' means any country.
SELECT * FROM tax_rates
WHERE tenant_id = sqlc.arg(tenant_id) AND archived_at IS NULL
    AND (sqlc.arg(country)::text = '' OR country = sqlc.arg(country)::text)
    AND (
        sqlc.arg(after)::text = ''
        OR (country, region, id) > (sqlc.arg(after_country)::text, sqlc.arg(after_region)::text, sqlc.arg(after)::text)
    )
ORDER BY country, region, id
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListTaxRatesInForce :many
-- All at once: there are few in a country. In the same order; '' means any country.
SELECT * FROM tax_rates
WHERE tenant_id = sqlc.arg(tenant_id) AND archived_at IS NULL
    AND (sqlc.arg(country)::text = '' OR country = sqlc.arg(country)::text)
ORDER BY country, region, id;

-- name: FindTaxRate :one
SELECT * FROM tax_rates WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: MarkTaxRateArchived :one
-- Once.
UPDATE tax_rates SET archived_at = sqlc.arg(archived_at)::timestamptz, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND archived_at IS NULL
RETURNING *;

-- name: FindTaxTerms :one
SELECT * FROM tax_terms WHERE tenant_id = sqlc.arg(tenant_id);

-- name: UpsertTaxTerms :one
INSERT INTO tax_terms (tenant_id, behavior, rounding, credit_application)
VALUES (sqlc.arg(tenant_id), sqlc.arg(behavior), sqlc.arg(rounding), sqlc.arg(credit_application))
ON CONFLICT (tenant_id) DO UPDATE
SET behavior = EXCLUDED.behavior, rounding = EXCLUDED.rounding, credit_application = EXCLUDED.credit_application
RETURNING *;

-- name: FindTaxExemption :one
SELECT * FROM tax_exemptions WHERE tenant_id = sqlc.arg(tenant_id) AND customer_id = sqlc.arg(customer_id);

-- name: UpsertTaxExemption :exec
INSERT INTO tax_exemptions (tenant_id, customer_id, exemption, reference)
VALUES (sqlc.arg(tenant_id), sqlc.arg(customer_id), sqlc.arg(exemption), sqlc.arg(reference))
ON CONFLICT (tenant_id, customer_id) DO UPDATE
SET exemption = EXCLUDED.exemption, reference = EXCLUDED.reference;

-- name: DeleteTaxExemption :exec
DELETE FROM tax_exemptions WHERE tenant_id = sqlc.arg(tenant_id) AND customer_id = sqlc.arg(customer_id);

-- name: ListTaxedCustomers :many
-- Where customers are taxed, and why they may not be.
SELECT
    c.id,
    coalesce(c.address ->> 'country', '')::text AS country,
    coalesce(c.address ->> 'region', '')::text AS region,
    e.exemption
FROM customers c LEFT JOIN tax_exemptions e ON e.tenant_id = c.tenant_id AND e.customer_id = c.id
WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = ANY (sqlc.arg(customer_ids)::text[]);

-- name: ListTaxCategories :many
-- Of prices: their products'.
SELECT p.id, d.tax_category
FROM prices p JOIN products d ON d.tenant_id = p.tenant_id AND d.id = p.product_id
WHERE p.tenant_id = sqlc.arg(tenant_id) AND p.id = ANY (sqlc.arg(price_ids)::text[]);

-- name: ListTaxRatesByIds :many
SELECT * FROM tax_rates
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[])
ORDER BY id;
