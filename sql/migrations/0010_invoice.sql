-- migrate:up
CREATE TABLE invoices (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    customer_id text NOT NULL,
    subscription_id text NOT NULL,
    cycle_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('draft', 'open', 'paid', 'uncollectible', 'void')),
    number text,
    currency text NOT NULL,
    total_minor bigint NOT NULL,
    amount_paid_minor bigint NOT NULL DEFAULT 0 CHECK (amount_paid_minor >= 0),
    amount_due_minor bigint NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    finalized_at timestamptz,
    due_at timestamptz,
    paid_at timestamptz,
    voided_at timestamptz,
    written_off_at timestamptz,
    -- Whom it was issued to, once the customer was erased: name, company, tax id and address. Null: as the customer says.
    bill_to jsonb,
    -- Links to it say of which generation they are; only those of this one lead to it.
    link_generation bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    -- One invoice per cycle, whatever is redelivered, replayed or raced.
    CONSTRAINT invoices_once UNIQUE (tenant_id, cycle_id),
    CONSTRAINT invoices_number_once UNIQUE (tenant_id, number),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    FOREIGN KEY (tenant_id, cycle_id) REFERENCES billing_cycles,
    -- A draft that is discarded never had one.
    CHECK (state = 'void' OR (state = 'draft') = (number IS NULL))
);
CREATE INDEX invoices_by_customer ON invoices (tenant_id, customer_id, id);
CREATE INDEX invoices_by_subscription ON invoices (tenant_id, subscription_id, id);

CREATE TABLE invoice_lines (
    tenant_id text NOT NULL,
    id text NOT NULL,
    invoice_id text NOT NULL,
    position integer NOT NULL,
    type text NOT NULL CHECK (type IN ('recurring', 'usage', 'adjustment')),
    description text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    quantity numeric NOT NULL,
    -- Null when tiers have theirs.
    unit_amount numeric,
    unit_size numeric NOT NULL,
    amount_minor bigint NOT NULL,
    price_id text NOT NULL,
    subscription_item_id text NOT NULL,
    tiers jsonb NOT NULL,
    steps jsonb NOT NULL DEFAULT '[]',
    by_record jsonb,
    charge_id text,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, invoice_id, position),
    FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices
);

-- Last number given per tenant and year. The row lock, taken last in the finalizing transaction, makes
-- the numbers gapless: a rollback gives its number back.
CREATE TABLE invoice_counters (
    tenant_id text NOT NULL,
    year integer NOT NULL,
    last_number bigint NOT NULL,
    PRIMARY KEY (tenant_id, year)
);

CREATE TABLE invoice_payments (
    tenant_id text NOT NULL,
    id text NOT NULL,
    invoice_id text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    reference text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices
);
CREATE INDEX invoice_payments_by_invoice ON invoice_payments (tenant_id, invoice_id);

CALL isolate_tenant('invoices');
CALL isolate_tenant('invoice_lines');
CALL isolate_tenant('invoice_counters');
CALL isolate_tenant('invoice_payments');
GRANT SELECT, INSERT, UPDATE ON invoices, invoice_counters TO corebilling_app, corebilling_worker;
GRANT SELECT, INSERT ON invoice_lines, invoice_payments TO corebilling_app, corebilling_worker;

-- migrate:down
DROP TABLE invoice_payments;
DROP TABLE invoice_counters;
DROP TABLE invoice_lines;
DROP TABLE invoices;
