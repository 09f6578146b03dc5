-- An invoice that holds five calls of sub_a.
INSERT INTO billing_cycles (
    tenant_id, id, subscription_id, customer_id, period_start, period_end, full_period_start, full_period_end, state,
    trial, sandbox
) VALUES (
    'ten_0000000000000000000000000a', 'cyc_1', 'sub_a', 'cus_1', '2026-02-15', '2026-03-15', '2026-02-15', '2026-03-15', 'rated',
    false, false
);
INSERT INTO invoices (
    tenant_id, id, customer_id, subscription_id, cycle_id, state, currency, total_minor, amount_due_minor,
    period_start, period_end, created_at
) VALUES (
    'ten_0000000000000000000000000a', 'inv_2', 'cus_1', 'sub_a', 'cyc_1', 'draft', 'USD', 500, 500, '2026-02-15',
    '2026-03-15', '2026-03-15'
);
INSERT INTO invoice_lines (
    tenant_id, id, invoice_id, position, type, description, period_start, period_end, quantity, unit_amount,
    unit_size, amount_minor, price_id, subscription_item_id, tiers
) VALUES (
    'ten_0000000000000000000000000a', 'ili_1', 'inv_2', 1, 'usage', '', '2026-02-15', '2026-03-15', 5, 1, 1, 500,
    'pri_calls', 'sit_a_calls', '[]'
);
