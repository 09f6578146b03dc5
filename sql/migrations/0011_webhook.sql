-- migrate:up
CREATE TABLE webhooks (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    url text NOT NULL,
    filters text[] NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    -- AES-256-GCM under the tenant's data key, bound to this row; emptied with the endpoint's deletion.
    secret_ciphertext bytea NOT NULL,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id)
);
-- Deleted ones pile up, and every event of the tenant looks for endpoints.
CREATE INDEX webhooks_live ON webhooks (tenant_id, id) WHERE deleted_at IS NULL;

-- The queue: one row per event and endpoint. A worker that dies leaves its lease to run out, and another
-- takes the row: delivered at least once, always under the same event id.
CREATE TABLE webhook_deliveries (
    tenant_id text NOT NULL,
    id text NOT NULL,
    webhook_id text NOT NULL,
    event_id text NOT NULL,
    subject text NOT NULL,
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    -- Claims so far. Never counted back: the number fences a late outcome from those of later attempts.
    attempts integer NOT NULL DEFAULT 0,
    -- How many there were when it was last sent again: tries are counted from here.
    attempts_before integer NOT NULL DEFAULT 0,
    -- While an attempt runs: when its lease ends and another may be made.
    next_attempt_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    delivered_at timestamptz,
    last_error text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_deliveries_once UNIQUE (tenant_id, webhook_id, event_id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES webhooks
) WITH (fillfactor = 70);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (tenant_id, event_id);

CREATE TABLE webhook_delivery_attempts (
    tenant_id text NOT NULL,
    delivery_id text NOT NULL,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    status_code integer NOT NULL,
    error text NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id, attempt),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES webhook_deliveries
);

-- Deliveries that used up their tries, until someone sends them again.
CREATE TABLE webhook_dlq (
    tenant_id text NOT NULL,
    delivery_id text NOT NULL,
    reason text NOT NULL,
    dead_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES webhook_deliveries
);

CALL isolate_tenant('webhooks');
CALL isolate_tenant('webhook_deliveries');
CALL isolate_tenant('webhook_delivery_attempts');
CALL isolate_tenant('webhook_dlq');
CALL share_with_workers('webhook_deliveries', 'ALL');
GRANT SELECT, INSERT, UPDATE ON webhooks TO corebilling_app;
GRANT SELECT, UPDATE (enabled, version) ON webhooks TO corebilling_worker;
GRANT SELECT, UPDATE ON webhook_deliveries TO corebilling_app;
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries TO corebilling_worker;
GRANT SELECT ON webhook_delivery_attempts TO corebilling_app;
GRANT SELECT, INSERT ON webhook_delivery_attempts TO corebilling_worker;
GRANT SELECT, DELETE ON webhook_dlq TO corebilling_app;
GRANT SELECT, INSERT ON webhook_dlq TO corebilling_worker;

-- migrate:down
DROP TABLE webhook_dlq;
DROP TABLE webhook_delivery_attempts;
DROP TABLE webhook_deliveries;
DROP TABLE webhooks;
