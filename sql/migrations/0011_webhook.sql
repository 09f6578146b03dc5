-- migrate:up
CREATE TABLE webhooks (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    -- Its path and query may hold a secret of the receiver's.
    url text NOT NULL,
    -- Scheme, host and port of it: what the audit log tells.
    origin text GENERATED ALWAYS AS (substring(url FROM '^[^/]+//[^/?]+')) STORED,
    filters text[] NOT NULL,
    -- 0: the platform's default.
    rate_per_second integer NOT NULL DEFAULT 0 CHECK (rate_per_second BETWEEN 0 AND 1000),
    enabled boolean NOT NULL DEFAULT true,
    disabled_reason text CHECK (disabled_reason IN ('requested', 'gone', 'failing')),
    disabled_at timestamptz,
    -- When the first attempt since the last success failed.
    failing_since timestamptz,
    -- AES-256-GCM under the tenant's data key, bound to this row; emptied with the endpoint's deletion.
    secret_ciphertext bytea NOT NULL,
    -- The secret before the current one: signed with as well until it expires.
    previous_secret_ciphertext bytea,
    previous_secret_expires_at timestamptz,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CHECK (enabled = (disabled_reason IS NULL)),
    CHECK (enabled = (disabled_at IS NULL))
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
    state text NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'discarded')),
    -- Claims so far. Never counted back: the number fences a late outcome from those of later attempts.
    attempts integer NOT NULL DEFAULT 0,
    -- How many there were when it was last sent again: tries are counted from here.
    attempts_before integer NOT NULL DEFAULT 0,
    -- The beginning of 1970 when someone asked for the attempt: it is due before all else, and even though the
    -- endpoint is left alone for now.
    next_attempt_at timestamptz NOT NULL,
    -- While an attempt runs: until when no other may be made. Of its own, so that a claim touches no index.
    leased_until timestamptz NOT NULL DEFAULT '-infinity',
    created_at timestamptz NOT NULL,
    delivered_at timestamptz,
    last_error text NOT NULL DEFAULT '',
    -- Why an operator gave it up for good.
    discard_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT webhook_deliveries_once UNIQUE (tenant_id, webhook_id, event_id),
    FOREIGN KEY (tenant_id, webhook_id) REFERENCES webhooks
) WITH (fillfactor = 70);
-- By endpoint first: a worker steps from lane to lane and takes the oldest of each, so that one lane's backlog
-- hides no other, and nothing delivered is ever looked at.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_attempt_at, id)
    WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (tenant_id, event_id);
-- A few among all that were delivered: a list of them, of one endpoint too, would otherwise read them all.
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (tenant_id, event_id)
    WHERE state IN ('dead', 'discarded');

CREATE TABLE webhook_delivery_attempts (
    tenant_id text NOT NULL,
    delivery_id text NOT NULL,
    attempt integer NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    status_code integer NOT NULL,
    error text NOT NULL,
    -- The beginning of what the receiver answered.
    response text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, delivery_id, attempt),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES webhook_deliveries
);

-- Deliveries that used up their tries, until someone sends them again.
CREATE TABLE webhook_dlq (
    tenant_id text NOT NULL,
    delivery_id text NOT NULL,
    webhook_id text NOT NULL,
    reason text NOT NULL,
    dead_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, delivery_id),
    FOREIGN KEY (tenant_id, delivery_id) REFERENCES webhook_deliveries
);
CREATE INDEX webhook_dlq_by_webhook ON webhook_dlq (tenant_id, webhook_id, delivery_id);

CALL isolate_tenant('webhooks');
CALL isolate_tenant('webhook_deliveries');
CALL isolate_tenant('webhook_delivery_attempts');
CALL isolate_tenant('webhook_dlq');
-- The queue and its records, so that what ends together is recorded together, whosever it is.
CALL share_with_workers('webhook_deliveries', 'ALL');
CALL share_with_workers('webhook_delivery_attempts', 'ALL');
CALL share_with_workers('webhook_dlq', 'ALL');
GRANT SELECT, INSERT, UPDATE ON webhooks TO corebilling_app;
GRANT SELECT, UPDATE (enabled, disabled_reason, disabled_at, failing_since, version) ON webhooks
    TO corebilling_worker;
GRANT SELECT, INSERT, UPDATE ON webhook_deliveries TO corebilling_app;
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
