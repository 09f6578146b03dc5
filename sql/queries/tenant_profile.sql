-- name: FindTenantProfile :one
-- The tenant and, of sandbox tenants, their clock: one row, one round trip.
SELECT t.mode, t.default_currency, t.timezone, t.auto_finalize, t.proration_grain, c.now_at AS clock_now_at
FROM tenants t LEFT JOIN test_clocks c ON c.tenant_id = t.id
WHERE t.id = sqlc.arg(tenant_id)::text;
