-- migrate:up

-- What a cycle's prices came to, with the evidence: written once, when the cycle is rated.
CREATE TABLE charges (
    tenant_id text NOT NULL,
    id text NOT NULL,
    cycle_id text NOT NULL,
    subscription_item_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('recurring', 'usage', 'adjustment', 'one_time')),
    price_id text NOT NULL,
    price_override_id text,
    description text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    quantity numeric NOT NULL,
    -- Null when tiers have theirs.
    unit_amount numeric,
    unit_size numeric NOT NULL,
    currency text NOT NULL,
    -- Exact, in major units; the invoice line rounds it.
    amount numeric NOT NULL,
    -- What earlier parts of the same period came to, for the same fee: the invoices' lines add up to what all parts
    -- together are rounded to.
    amount_before numeric NOT NULL DEFAULT 0,
    tiers jsonb NOT NULL,
    -- Cap and minimum: `billing.types.v1.ChargeStep`s in JSON.
    steps jsonb NOT NULL DEFAULT '[]',
    -- Of prices that look at single records: a `billing.types.v1.RecordEvidence` in JSON.
    by_record jsonb,
    -- What it was worked out from: a `billing.rating.v1.ChargeBasis` in JSON.
    basis jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT charges_once UNIQUE (tenant_id, cycle_id, subscription_item_id, kind, period_start),
    FOREIGN KEY (tenant_id, cycle_id) REFERENCES billing_cycles
);
-- Whichever cycle comes first charges a one-time item, and none after it; also found by it.
CREATE UNIQUE INDEX charges_one_time ON charges (tenant_id, subscription_item_id) WHERE kind = 'one_time';

CALL isolate_tenant('charges');
-- A preview rates too, and undoes it.
GRANT SELECT, INSERT ON charges TO corebilling_app, corebilling_worker;

-- migrate:down
DROP TABLE charges;
