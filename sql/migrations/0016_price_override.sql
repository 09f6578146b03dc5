-- migrate:up

-- Negotiated amounts of prices. Rows are versions: never rewritten but for their end, since charges name them.
CREATE TABLE price_overrides (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    price_id text NOT NULL,
    customer_id text NOT NULL,
    -- Null: of all the customer's subscriptions in the currency.
    subscription_id text,
    currency text NOT NULL,
    -- As in `prices`.
    unit_amount numeric(32, 12),
    tiers jsonb NOT NULL,
    included_quantity numeric(32, 12) NOT NULL,
    minimum_amount numeric(32, 12),
    maximum_amount numeric(32, 12),
    max_quantity numeric,
    valid_from timestamptz NOT NULL,
    -- Null: for ever. At most one of a price is in force for the same customer or subscription at a time.
    valid_until timestamptz,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, price_id) REFERENCES prices,
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions,
    CHECK (valid_from <= valid_until)
);
CREATE INDEX price_overrides_by_customer ON price_overrides (tenant_id, customer_id, price_id);

CALL isolate_tenant('price_overrides');
GRANT SELECT, INSERT, UPDATE ON price_overrides TO corebilling_app;
GRANT SELECT ON price_overrides TO corebilling_worker;

-- migrate:down
DROP TABLE price_overrides;
