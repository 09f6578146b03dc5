-- Subscriptions with one closed cycle each: a fee, calls per unit, and storage in tiers. The setting
-- `bench.cycles` says how many.
INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at)
VALUES ('ten_000000000000000000000bench', 'Bench', 'bench', 'live', 'USD', 'UTC', '2026-01-01');
INSERT INTO products (tenant_id, id, code, name, created_at) VALUES ('ten_000000000000000000000bench', 'prd_1', 'p', 'p', '2026-01-01');
INSERT INTO meters (tenant_id, id, code, name, aggregation, unit, created_at)
VALUES ('ten_000000000000000000000bench', 'mtr_1', 'calls', 'calls', 'sum', 'call', '2026-01-01'),
    ('ten_000000000000000000000bench', 'mtr_2', 'storage', 'storage', 'max', 'GB', '2026-01-01');
INSERT INTO prices (
    tenant_id, id, product_id, code, price_version, currency, model, usage, meter_id, interval_unit, interval_count,
    unit_amount, unit_size, tiers, description, created_at
)
VALUES
    ('ten_000000000000000000000bench', 'pri_1', 'prd_1', 'base', 1, 'USD', 'flat', 'licensed', NULL, 'month', 1, 99, 1, '[]', 'Plan',
        '2026-01-01'),
    ('ten_000000000000000000000bench', 'pri_2', 'prd_1', 'calls', 1, 'USD', 'per_unit', 'metered', 'mtr_1', 'month', 1, 0.15, 1000000, '[]',
        'Calls', '2026-01-01'),
    ('ten_000000000000000000000bench', 'pri_3', 'prd_1', 'storage', 1, 'USD', 'graduated', 'metered', 'mtr_2', 'month', 1, NULL, 1,
        '[{"up_to": "100", "unit_amount": "0", "flat_amount": "0"},
          {"up_to": "", "unit_amount": "0.25", "flat_amount": "0"}]', 'Storage', '2026-01-01');
INSERT INTO customers (tenant_id, id, currency, timezone, created_at, updated_at)
SELECT 'ten_000000000000000000000bench', 'cus_' || n, 'USD', 'UTC', '2026-01-01', '2026-01-01' FROM generate_series(1, current_setting('bench.cycles')::int) n;
INSERT INTO subscriptions (
    tenant_id, id, customer_id, state, currency, interval_unit, interval_count, timezone, anchor_at, start_at, created_at
)
SELECT 'ten_000000000000000000000bench', 'sub_' || n, 'cus_' || n, 'active', 'USD', 'month', 1, 'UTC', '2026-01-01', '2026-01-01', '2026-01-01'
FROM generate_series(1, current_setting('bench.cycles')::int) n;
INSERT INTO subscription_items (
    tenant_id, id, subscription_id, position, price_id, meter_code, aggregation, quantity
)
SELECT 'ten_000000000000000000000bench', 'sit_' || n || '_' || k, 'sub_' || n, k, 'pri_' || k, (ARRAY[NULL, 'calls', 'storage'])[k],
    (ARRAY[NULL, 'sum', 'max'])[k], CASE k WHEN 1 THEN 1 END
FROM generate_series(1, current_setting('bench.cycles')::int) n, generate_series(1, 3) k;
INSERT INTO billing_cycles (
    tenant_id, id, subscription_id, customer_id, period_start, period_end, full_period_start, full_period_end, state,
    trial, sandbox, closed_at
)
SELECT 'ten_000000000000000000000bench', 'cyc_' || n, 'sub_' || n, 'cus_' || n, '2026-01-01', '2026-02-01', '2026-01-01', '2026-02-01', 'closed', false,
    false, '2026-02-01'
FROM generate_series(1, current_setting('bench.cycles')::int) n;
INSERT INTO usage_totals (
    tenant_id, subscription_item_id, period_start, period_end, subscription_id, customer_id, meter_code, aggregation,
    record_count, quantity_sum, quantity_max, excluded, first_recorded_at, last_recorded_at
)
SELECT 'ten_000000000000000000000bench', 'sit_' || n || '_' || k, '2026-01-01', '2026-02-01', 'sub_' || n, 'cus_' || n,
    (ARRAY[NULL, 'calls', 'storage'])[k], (ARRAY[NULL, 'sum', 'max'])[k], 10, 1000 * n, 90 + n % 30, false,
    '2026-01-01', '2026-01-31'
FROM generate_series(1, current_setting('bench.cycles')::int) n, generate_series(2, 3) k;
ANALYZE;
