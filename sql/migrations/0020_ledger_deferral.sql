-- migrate:up

-- Invoiced for service that was still to come: what of a line's revenue is recognized month by month.
CREATE TABLE revenue_deferrals (
    tenant_id text NOT NULL,
    invoice_line_id text NOT NULL,
    invoice_id text NOT NULL,
    customer_id text NOT NULL,
    currency text NOT NULL,
    -- Of the service.
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    -- The tenant's when the invoice was finalized: a schedule stays as it was made.
    grain text NOT NULL CHECK (grain IN ('second', 'day')),
    timezone text NOT NULL,
    -- Below zero where a line gives something back.
    deferred_minor bigint NOT NULL,
    recognized_minor bigint NOT NULL DEFAULT 0,
    -- Given back by credit notes, or voided.
    reversed_minor bigint NOT NULL DEFAULT 0,
    remaining_minor bigint NOT NULL,
    -- What remains belongs to the service from then on.
    recognized_until timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, invoice_line_id),
    FOREIGN KEY (tenant_id, invoice_line_id) REFERENCES invoice_lines,
    CHECK (deferred_minor = recognized_minor + reversed_minor + remaining_minor),
    CHECK (period_start <= recognized_until AND recognized_until <= period_end)
);
CREATE INDEX revenue_deferrals_by_invoice ON revenue_deferrals (tenant_id, invoice_id, invoice_line_id);
CREATE INDEX revenue_deferrals_by_customer ON revenue_deferrals (tenant_id, customer_id, invoice_line_id);

CREATE TABLE revenue_recognitions (
    tenant_id text NOT NULL,
    invoice_line_id text NOT NULL,
    -- The part of the service that it was recognized for.
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (tenant_id, invoice_line_id, period_end),
    FOREIGN KEY (tenant_id, invoice_line_id) REFERENCES revenue_deferrals
);

-- What the clock posts: the next recognition of a deferral.
CREATE TABLE ledger_dues (
    tenant_id text NOT NULL REFERENCES tenants (id),
    kind text NOT NULL CHECK (kind IN ('recognition', 'credit_expiry')),
    source_id text NOT NULL,
    customer_id text NOT NULL,
    -- As in billing_cycles, all of these.
    sandbox boolean NOT NULL,
    due_at timestamptz NOT NULL,
    failed_attempts integer NOT NULL DEFAULT 0,
    retry_at timestamptz NOT NULL DEFAULT '1000-01-01 00:00:00+00',
    PRIMARY KEY (tenant_id, kind, source_id)
);
CREATE INDEX ledger_dues_live ON ledger_dues (due_at) WHERE NOT sandbox;
CREATE INDEX ledger_dues_sandbox ON ledger_dues (tenant_id, due_at) WHERE sandbox;

CALL isolate_tenant('revenue_deferrals');
CALL isolate_tenant('revenue_recognitions');
CALL isolate_tenant('ledger_dues');
CALL share_with_workers('ledger_dues', 'SELECT');
GRANT SELECT, INSERT, UPDATE ON revenue_deferrals TO corebilling_app, corebilling_worker;
GRANT SELECT ON revenue_recognitions TO corebilling_app;
GRANT SELECT, INSERT ON revenue_recognitions TO corebilling_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger_dues TO corebilling_app, corebilling_worker;

-- migrate:down
DROP TABLE ledger_dues;
DROP TABLE revenue_recognitions;
DROP TABLE revenue_deferrals;
