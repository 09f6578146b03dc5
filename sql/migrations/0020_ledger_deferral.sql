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

-- What the clock posts: the next recognition of a deferral, the end of a credit.
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

-- What the books say, and what the records they are about say, by customer and currency: `found` and `expected` are
-- equal in every row, always. Whoever reads it sees their own tenant.
CREATE VIEW ledger_checks WITH (security_invoker = true) AS
SELECT f.tenant_id, f.name, f.customer_id, f.currency, sum(f.expected) AS expected_minor, sum(f.found) AS found_minor
FROM (
    SELECT b.tenant_id, m.name, b.customer_id, b.currency, 0::numeric AS expected, m.sign * b.balance AS found
    FROM (
        SELECT
            j.tenant_id, j.customer_id, e.currency, a.type,
            sum(CASE e.direction WHEN 'debit' THEN e.amount_minor ELSE -e.amount_minor END) AS balance
        FROM ledger_journals j
        JOIN ledger_entries e ON e.tenant_id = j.tenant_id AND e.journal_id = j.id
        JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
        GROUP BY j.tenant_id, j.customer_id, e.currency, a.type
    ) b
    JOIN (
        SELECT 'receivable' AS type, 'receivable' AS name, 1 AS sign
        UNION ALL SELECT 'bad_debt', 'bad_debt', 1
        UNION ALL SELECT 'customer_credit', 'customer_credit', -1
        UNION ALL SELECT 'tax_payable', 'tax_payable', -1
        UNION ALL SELECT 'deferred_revenue', 'deferred_revenue', -1
        UNION ALL SELECT 'deferred_revenue', 'revenue', -1
        UNION ALL SELECT 'revenue', 'revenue', -1
        UNION ALL SELECT '', 'debits_less_credits', 1
    ) m ON m.type = b.type OR m.type = ''
    UNION ALL
    SELECT i.tenant_id, m.name, i.customer_id, i.currency, m.expected, 0
    FROM invoices i
    CROSS JOIN LATERAL (
        SELECT 'receivable' AS name, CASE WHEN i.state = 'open' THEN i.amount_due_minor END AS expected
        UNION ALL
        SELECT 'bad_debt', CASE WHEN i.state = 'uncollectible' THEN i.amount_due_minor END
        UNION ALL
        -- What drafts use is the customer's until they are final.
        SELECT 'customer_credit', CASE WHEN i.state = 'draft' THEN i.credit_minor + i.prepaid_minor END
        UNION ALL
        SELECT 'tax_payable', CASE WHEN i.state IN ('open', 'paid', 'uncollectible') THEN i.tax_minor END
        UNION ALL
        SELECT
            'revenue',
            CASE
                WHEN i.state IN ('open', 'paid', 'uncollectible')
                    THEN i.subtotal_minor - i.discount_minor
                        - CASE i.tax_behavior WHEN 'inclusive' THEN i.tax_minor ELSE 0 END
            END
    ) m
    WHERE m.expected IS NOT NULL
    UNION ALL
    SELECT n.tenant_id, m.name, n.customer_id, n.currency, m.expected, 0
    FROM credit_notes n
    CROSS JOIN LATERAL (
        SELECT 'tax_payable' AS name, -n.tax_minor AS expected
        UNION ALL
        SELECT 'revenue', -n.subtotal_minor
    ) m
    UNION ALL
    SELECT c.tenant_id, 'customer_credit', c.customer_id, c.currency, c.remaining_minor, 0
    FROM credits c
    UNION ALL
    SELECT d.tenant_id, 'deferred_revenue', d.customer_id, d.currency, d.remaining_minor, 0
    FROM revenue_deferrals d
) f
GROUP BY f.tenant_id, f.name, f.customer_id, f.currency;
GRANT SELECT ON ledger_checks TO corebilling_app;

-- migrate:down
DROP VIEW ledger_checks;
DROP TABLE ledger_dues;
DROP TABLE revenue_recognitions;
DROP TABLE revenue_deferrals;
