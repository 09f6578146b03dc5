-- migrate:up

-- What lowers an invoice, what is taxed, and what is given back of it.

CREATE TABLE coupons (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('percent', 'fixed')),
    percent numeric NOT NULL CHECK (percent BETWEEN 0 AND 100),
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text NOT NULL,
    duration text NOT NULL CHECK (duration IN ('once', 'repeating', 'forever')),
    duration_invoices integer NOT NULL,
    -- 0: as often as wanted.
    max_redemptions integer NOT NULL,
    redemptions integer NOT NULL DEFAULT 0,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    -- None: all lines.
    price_ids text[] NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived')),
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT coupons_code_taken UNIQUE (tenant_id, code),
    CHECK (max_redemptions = 0 OR redemptions <= max_redemptions)
);

CREATE TABLE discounts (
    tenant_id text NOT NULL,
    id text NOT NULL,
    coupon_id text NOT NULL,
    customer_id text NOT NULL,
    -- Null: of all of the customer's invoices.
    subscription_id text,
    -- Null: of all that come.
    remaining_invoices integer CHECK (remaining_invoices >= 0),
    redeemed_at timestamptz NOT NULL,
    ended_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, coupon_id) REFERENCES coupons,
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions
);
-- Nobody has the same coupon twice at a time.
CREATE UNIQUE INDEX discounts_once
    ON discounts (tenant_id, customer_id, coupon_id, coalesce(subscription_id, '')) WHERE ended_at IS NULL;

CREATE TABLE credits (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    customer_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('promotional', 'discount', 'compensation', 'refund', 'prepaid')),
    currency text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    remaining_minor bigint NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_until timestamptz,
    priority integer NOT NULL,
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    voided_at timestamptz,
    expired_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    CHECK (remaining_minor BETWEEN 0 AND amount_minor),
    CHECK (valid_from < valid_until)
);
CREATE INDEX credits_by_customer ON credits (tenant_id, customer_id, id);

CREATE TABLE tax_terms (
    tenant_id text PRIMARY KEY REFERENCES tenants (id),
    behavior text NOT NULL CHECK (behavior IN ('exclusive', 'inclusive')),
    rounding text NOT NULL CHECK (rounding IN ('per_invoice', 'per_line')),
    credit_application text NOT NULL CHECK (credit_application IN ('before_tax', 'after_tax'))
);

CREATE TABLE tax_rates (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    name text NOT NULL,
    country text NOT NULL,
    region text NOT NULL,
    category text NOT NULL,
    percent numeric NOT NULL CHECK (percent >= 0),
    compound boolean NOT NULL,
    created_at timestamptz NOT NULL,
    archived_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id)
);
-- Those archived may be many.
CREATE INDEX tax_rates_in_force ON tax_rates (tenant_id, country, region, id) WHERE archived_at IS NULL;

CREATE TABLE tax_exemptions (
    tenant_id text NOT NULL,
    customer_id text NOT NULL,
    exemption text NOT NULL CHECK (exemption IN ('exempt', 'reverse_charge')),
    reference text NOT NULL,
    PRIMARY KEY (tenant_id, customer_id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers
);

ALTER TABLE products ADD COLUMN tax_category text NOT NULL DEFAULT '';

ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_type_check;
ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_accounts_type_check
    CHECK (
        type IN (
            'cash', 'receivable', 'revenue', 'deferred_revenue', 'tax_payable', 'customer_credit', 'expense', 'bad_debt',
            'breakage'
        )
    );

-- One-off invoices have neither subscription nor cycle; the cycle of a voided one can be invoiced again.
ALTER TABLE invoices ALTER COLUMN subscription_id DROP NOT NULL;
ALTER TABLE invoices ALTER COLUMN cycle_id DROP NOT NULL;
ALTER TABLE invoices DROP CONSTRAINT invoices_once;
CREATE UNIQUE INDEX invoices_once ON invoices (tenant_id, cycle_id) WHERE state <> 'void';
ALTER TABLE invoices
    ADD COLUMN subtotal_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN discount_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN credit_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN tax_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN prepaid_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN credited_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN tax_behavior text NOT NULL DEFAULT 'exclusive',
    -- Lists of `billing.invoice.v1.InvoiceDiscount`, `InvoiceCredit` and `InvoiceTax` in JSON.
    ADD COLUMN discounts jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN credits jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN taxes jsonb NOT NULL DEFAULT '[]',
    -- `billing.invoice.v1.InvoiceTerms` in JSON.
    ADD COLUMN terms jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN replaces_invoice_id text;

ALTER TABLE invoice_lines DROP CONSTRAINT invoice_lines_type_check;
ALTER TABLE invoice_lines ADD CONSTRAINT invoice_lines_type_check
    CHECK (type IN ('recurring', 'usage', 'adjustment', 'one_time', 'true_up'));
ALTER TABLE invoice_lines ALTER COLUMN price_id DROP NOT NULL;
ALTER TABLE invoice_lines ALTER COLUMN subscription_item_id DROP NOT NULL;
ALTER TABLE invoice_lines
    ADD COLUMN discount_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN credit_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN tax_minor bigint NOT NULL DEFAULT 0,
    ADD COLUMN taxes jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN tax_category text NOT NULL DEFAULT '',
    ADD COLUMN tax_exemption text,
    ADD COLUMN subscription_id text,
    -- A `billing.invoice.v1.InvoiceLineEvidence` in JSON.
    ADD COLUMN evidence jsonb;

CREATE TABLE credit_notes (
    tenant_id text NOT NULL,
    id text NOT NULL,
    invoice_id text NOT NULL,
    customer_id text NOT NULL,
    number text NOT NULL,
    reason text NOT NULL,
    currency text NOT NULL,
    -- A list of `billing.invoice.v1.CreditNoteItem` in JSON.
    items jsonb NOT NULL,
    -- What the lines' discounts, credits and inclusive taxes took off the items.
    discount_minor bigint NOT NULL,
    subtotal_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    total_minor bigint NOT NULL CHECK (total_minor >= 0),
    due_minor bigint NOT NULL CHECK (due_minor >= 0),
    refunded_minor bigint NOT NULL CHECK (refunded_minor >= 0),
    returned_minor bigint NOT NULL CHECK (returned_minor >= 0),
    credit_id text,
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT credit_notes_number_once UNIQUE (tenant_id, number),
    FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices,
    CHECK (due_minor + refunded_minor + returned_minor = total_minor)
);
CREATE INDEX credit_notes_by_invoice ON credit_notes (tenant_id, invoice_id, id);

-- As invoice_counters.
CREATE TABLE credit_note_counters (
    tenant_id text NOT NULL,
    year integer NOT NULL,
    last_number bigint NOT NULL,
    PRIMARY KEY (tenant_id, year)
);

CALL isolate_tenant('coupons');
CALL isolate_tenant('discounts');
CALL isolate_tenant('credits');
CALL isolate_tenant('tax_terms');
CALL isolate_tenant('tax_rates');
CALL isolate_tenant('tax_exemptions');
CALL isolate_tenant('credit_notes');
CALL isolate_tenant('credit_note_counters');
GRANT SELECT, INSERT, UPDATE ON coupons, discounts, credits, tax_terms, tax_rates, credit_note_counters
    TO corebilling_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON tax_exemptions TO corebilling_app;
GRANT SELECT, INSERT ON credit_notes TO corebilling_app;
GRANT SELECT ON coupons, tax_terms, tax_rates, tax_exemptions, credit_notes TO corebilling_worker;
GRANT SELECT, UPDATE ON discounts TO corebilling_worker;
-- What an invoice below zero becomes.
GRANT SELECT, INSERT, UPDATE ON credits TO corebilling_worker;

-- migrate:down
DROP TABLE credit_note_counters;
DROP TABLE credit_notes;
ALTER TABLE invoice_lines
    DROP COLUMN discount_minor, DROP COLUMN credit_minor, DROP COLUMN tax_minor, DROP COLUMN taxes,
    DROP COLUMN tax_category, DROP COLUMN tax_exemption, DROP COLUMN subscription_id, DROP COLUMN evidence;
ALTER TABLE invoice_lines DROP CONSTRAINT invoice_lines_type_check;
ALTER TABLE invoice_lines ADD CONSTRAINT invoice_lines_type_check CHECK (type IN ('recurring', 'usage', 'adjustment'));
ALTER TABLE invoice_lines ALTER COLUMN price_id SET NOT NULL;
ALTER TABLE invoice_lines ALTER COLUMN subscription_item_id SET NOT NULL;
ALTER TABLE invoices
    DROP COLUMN subtotal_minor, DROP COLUMN discount_minor, DROP COLUMN credit_minor, DROP COLUMN tax_minor,
    DROP COLUMN prepaid_minor, DROP COLUMN credited_minor, DROP COLUMN tax_behavior, DROP COLUMN discounts,
    DROP COLUMN credits, DROP COLUMN taxes, DROP COLUMN terms, DROP COLUMN description, DROP COLUMN replaces_invoice_id;
DROP INDEX invoices_once;
ALTER TABLE invoices ADD CONSTRAINT invoices_once UNIQUE (tenant_id, cycle_id);
ALTER TABLE invoices ALTER COLUMN subscription_id SET NOT NULL;
ALTER TABLE invoices ALTER COLUMN cycle_id SET NOT NULL;
ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_type_check;
ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_accounts_type_check
    CHECK (type IN ('cash', 'receivable', 'revenue'));
ALTER TABLE products DROP COLUMN tax_category;
DROP TABLE tax_exemptions;
DROP TABLE tax_rates;
DROP TABLE tax_terms;
DROP TABLE credits;
DROP TABLE discounts;
DROP TABLE coupons;
