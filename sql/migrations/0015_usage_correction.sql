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

CALL isolate_tenant('usage_corrections');
GRANT SELECT, INSERT ON usage_corrections TO corebilling_app;

-- migrate:down
DROP TABLE usage_corrections;
