-- migrate:up

-- What was taken back or corrected of records, and why. Records themselves stay as they were reported: the newest
-- revision of a key says what its record counts as. Written once.
CREATE TABLE usage_corrections (
    tenant_id text NOT NULL,
    id text NOT NULL,
    key uuid NOT NULL,
    -- From 1, per key.
    revision integer NOT NULL,
    -- As the client wrote it.
    idempotency_key text NOT NULL,
    subscription_id text NOT NULL,
    subscription_item_id text NOT NULL,
    meter_code text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    quantity_before numeric NOT NULL CHECK (quantity_before >= 0),
    -- Null: retracted, for good.
    quantity numeric CHECK (quantity >= 0),
    reason text NOT NULL,
    actor text NOT NULL,
    corrected_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT usage_corrections_once UNIQUE (tenant_id, key, revision)
);
CREATE INDEX usage_corrections_by_subscription ON usage_corrections (tenant_id, subscription_id, id);
CREATE INDEX usage_corrections_by_item ON usage_corrections (tenant_id, subscription_item_id, recorded_at);

-- The largest or smallest quantity that an item's records of a time still count with; null when there are none. For
-- when it was taken back: totals do not know the second largest.
CREATE FUNCTION kept_usage(of_tenant text, of_item text, first_at timestamptz, last_at timestamptz, largest boolean)
RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN largest THEN max(k.quantity) ELSE min(k.quantity) END
    FROM (
        SELECT CASE WHEN c.key IS NULL THEN r.quantity ELSE c.quantity END AS quantity
        FROM usage_records r
        LEFT JOIN (
            SELECT DISTINCT ON (u.key) u.key, u.quantity
            FROM usage_corrections u
            WHERE u.tenant_id = of_tenant AND u.subscription_item_id = of_item
                AND u.recorded_at BETWEEN first_at AND last_at
            ORDER BY u.key, u.revision DESC
        ) c ON c.key = r.key
        WHERE r.tenant_id = of_tenant AND r.subscription_item_id = of_item AND r.recorded_at BETWEEN first_at AND last_at
            AND r.filtered IS NOT TRUE
    ) k
$$;
REVOKE ALL ON FUNCTION kept_usage(text, text, timestamptz, timestamptz, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION kept_usage(text, text, timestamptz, timestamptz, boolean) TO corebilling_app;

-- What became of charges when a cycle was rated again with a corrected price: the newest revision of a charge says what
-- it is rated with. Charges themselves stay as they are. Written once.
CREATE TABLE rerated_charges (
    tenant_id text NOT NULL,
    subscription_item_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('recurring', 'usage', 'one_time')),
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    -- From 1, per charge.
    revision integer NOT NULL,
    cycle_id text NOT NULL,
    price_id text NOT NULL,
    corrected_price_id text NOT NULL,
    quantity numeric NOT NULL,
    currency text NOT NULL,
    -- What invoices held, and what the corrected price comes to.
    billed_minor bigint NOT NULL,
    amount_minor bigint NOT NULL,
    -- What the invoice bears before discounts: the difference of both.
    difference_minor bigint NOT NULL,
    -- The invoice lines that held what had been billed.
    billed_line_ids text[] NOT NULL,
    -- Null when nothing differs.
    invoice_id text,
    reason text NOT NULL,
    actor text NOT NULL,
    rerated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subscription_item_id, kind, period_start, revision),
    FOREIGN KEY (tenant_id, cycle_id) REFERENCES billing_cycles
);
CREATE INDEX rerated_charges_by_cycle ON rerated_charges (tenant_id, cycle_id);

-- What credit notes took of a line's amount.
CREATE FUNCTION credited_minor(of_tenant text, of_invoice text, of_line text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum((item.value->>'amount_minor')::bigint), 0)::bigint
    FROM credit_notes n CROSS JOIN LATERAL jsonb_array_elements(n.items) item
    WHERE n.tenant_id = of_tenant AND n.invoice_id = of_invoice AND item.value->>'invoice_line_id' = of_line
$$;

-- Of a line, what corrections have nothing of to give back: discounts, and credits before tax, took it off, credit
-- notes gave it back, its invoice was withdrawn, or it was written off, the line's part of what is due of it.
CREATE FUNCTION uncharged_minor(
    invoice_state text, due_minor bigint, of_minor bigint, amount_minor bigint, taken_off_minor bigint,
    credited_minor bigint
) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE invoice_state
        WHEN 'void' THEN amount_minor
        WHEN 'uncollectible' THEN
            gone.minor + round((amount_minor - gone.minor)::numeric * due_minor / of_minor)::bigint
        ELSE gone.minor
    END
    FROM (
        SELECT CASE credited_minor
            WHEN 0 THEN taken_off_minor
            ELSE taken_off_minor
                + round((amount_minor - taken_off_minor)::numeric * credited_minor / amount_minor)::bigint
        END AS minor
    ) gone
$$;
GRANT EXECUTE ON FUNCTION credited_minor(text, text, text) TO corebilling_app, corebilling_worker;
GRANT EXECUTE ON FUNCTION uncharged_minor(text, bigint, bigint, bigint, bigint, bigint)
    TO corebilling_app, corebilling_worker;

CALL isolate_tenant('usage_corrections');
CALL isolate_tenant('rerated_charges');
GRANT SELECT, INSERT ON usage_corrections, rerated_charges TO corebilling_app;
GRANT SELECT ON rerated_charges TO corebilling_worker;

-- migrate:down
DROP FUNCTION uncharged_minor(text, bigint, bigint, bigint, bigint, bigint);
DROP FUNCTION credited_minor(text, text, text);
DROP TABLE rerated_charges;
DROP FUNCTION kept_usage(text, text, timestamptz, timestamptz, boolean);
DROP TABLE usage_corrections;
