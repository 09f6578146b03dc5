-- Two tenants; three meters; subscriptions that run, are on trial, and started late.
INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at)
SELECT id, id, id, 'live', 'USD', 'UTC', '2026-01-01'
FROM (VALUES ('ten_0000000000000000000000000a'), ('ten_0000000000000000000000000b')) AS t (id);

INSERT INTO customers (tenant_id, id, currency, timezone, created_at, updated_at)
SELECT tenant_id, id, 'USD', 'UTC', '2026-01-01', '2026-01-01'
FROM (VALUES
    ('ten_0000000000000000000000000a', 'cus_1'), ('ten_0000000000000000000000000a', 'cus_2'),
    ('ten_0000000000000000000000000b', 'cus_3')
) AS c (tenant_id, id);

INSERT INTO products (tenant_id, id, code, name, created_at)
SELECT id, 'pro_1', 'p', 'p', '2026-01-01' FROM tenants WHERE id <> 'ten_platform';

INSERT INTO meters (tenant_id, id, code, name, aggregation, unit, created_at)
SELECT t.id, 'met_' || m.code, m.code, m.code, m.aggregation, 'unit', '2026-01-01'
FROM tenants t, (VALUES ('calls', 'sum'), ('peak', 'max'), ('requests', 'count')) AS m (code, aggregation)
WHERE t.id <> 'ten_platform';

INSERT INTO prices (
    tenant_id, id, product_id, code, price_version, currency, model, usage, meter_id, interval_unit, interval_count,
    unit_amount, unit_size, description, created_at
)
SELECT tenant_id, 'pri_' || code, 'pro_1', code, 1, 'USD', 'per_unit', 'metered', id, 'month', 1, 1, 1, '', '2026-01-01'
FROM meters;

INSERT INTO subscriptions (
    tenant_id, id, customer_id, state, currency, interval_unit, interval_count, timezone, anchor_at, start_at,
    trial_end_at, created_at
)
SELECT
    tenant_id, id, customer_id, 'active', 'USD', 'month', 1, 'UTC', coalesce(trial_end_at, start_at)::timestamptz,
    start_at::timestamptz, trial_end_at::timestamptz, '2026-01-01'
FROM (VALUES
    ('ten_0000000000000000000000000a', 'sub_a', 'cus_1', '2026-01-15', NULL),
    ('ten_0000000000000000000000000a', 'sub_trial', 'cus_1', '2026-02-20', '2026-03-05'),
    ('ten_0000000000000000000000000a', 'sub_late', 'cus_2', '2026-02-20', NULL),
    ('ten_0000000000000000000000000b', 'sub_theirs', 'cus_3', '2026-01-15', NULL)
) AS s (tenant_id, id, customer_id, start_at, trial_end_at);

INSERT INTO subscription_items (tenant_id, id, subscription_id, position, price_id, one_time, overridden, meter_code, aggregation)
SELECT
    s.tenant_id, replace(s.id, 'sub_', 'sit_') || '_' || m.code, s.id, row_number() OVER (PARTITION BY s.id),
    'pri_' || m.code, false, false, m.code, m.aggregation
FROM subscriptions s JOIN meters m ON m.tenant_id = s.tenant_id;
