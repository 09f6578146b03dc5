-- migrate:up
CREATE TABLE quotas (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('tenant', 'plan', 'customer', 'subscription')),
    subject_id text NOT NULL,
    -- '': records of whatever meter.
    meter_code text NOT NULL,
    -- How the meter's records become a quantity: copied, since a meter never changes its own.
    aggregation text NOT NULL,
    period text NOT NULL CHECK (period IN ('billing_period', 'month', 'day')),
    limit_quantity numeric(32, 12) NOT NULL CHECK (limit_quantity >= 0),
    enforcement text NOT NULL CHECK (enforcement IN ('soft', 'hard')),
    -- [{percent, quantity}], decimals as strings; one of the two is ''.
    thresholds jsonb NOT NULL DEFAULT '[]',
    platform boolean NOT NULL,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT quotas_one_per_period UNIQUE (tenant_id, subject_id, meter_code, period, platform)
);
-- What ingestion looks at: usage that no such quota limits pays one look into an index without an entry for it.
CREATE INDEX quotas_of_ingestion ON quotas (tenant_id, subject_id) WHERE enforcement = 'hard' OR scope = 'tenant';

-- What all of a tenant's customers used: they share no lock and no total. Everyone else's usage is summed up from
-- totals and hours.
CREATE TABLE quota_counters (
    tenant_id text NOT NULL,
    quota_id text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    used numeric NOT NULL,
    PRIMARY KEY (tenant_id, quota_id, period_start),
    FOREIGN KEY (tenant_id, quota_id) REFERENCES quotas ON DELETE CASCADE
) WITH (fillfactor = 50);

-- What was announced: once, whatever is delivered again.
CREATE TABLE quota_notices (
    tenant_id text NOT NULL,
    quota_id text NOT NULL,
    subject_id text NOT NULL,
    period_start timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('warning', 'exceeded', 'threshold')),
    -- The threshold: another one once the limit was changed.
    at_quantity numeric NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, quota_id, subject_id, period_start, kind, at_quantity),
    FOREIGN KEY (tenant_id, quota_id) REFERENCES quotas ON DELETE CASCADE
);

-- What plans include, and what customers and subscriptions are given beside them.
CREATE TABLE features (
    tenant_id text NOT NULL REFERENCES tenants (id),
    subject_id text NOT NULL,
    code text NOT NULL,
    scope text NOT NULL CHECK (scope IN ('plan', 'customer', 'subscription')),
    -- '': it is had, or not.
    meter_code text NOT NULL,
    -- Kept when it is removed: set again, it goes on with the next version.
    version bigint NOT NULL DEFAULT 1,
    removed boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject_id, code)
);

CALL isolate_tenant('features');
CALL isolate_tenant('quotas');
CALL isolate_tenant('quota_counters');
CALL isolate_tenant('quota_notices');
GRANT SELECT, INSERT, UPDATE, DELETE ON quotas TO corebilling_app;
GRANT SELECT, INSERT, UPDATE ON quota_counters, features TO corebilling_app;
GRANT SELECT ON quotas, quota_counters TO corebilling_worker;
GRANT SELECT, INSERT ON quota_notices TO corebilling_app, corebilling_worker;

-- migrate:down
DROP TABLE features;
DROP TABLE quota_notices;
DROP TABLE quota_counters;
DROP TABLE quotas;
