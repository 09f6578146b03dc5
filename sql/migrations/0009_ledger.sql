-- migrate:up
CREATE TABLE ledger_accounts (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    type text NOT NULL CHECK (type IN ('cash', 'receivable', 'revenue')),
    currency text NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT ledger_accounts_once UNIQUE (tenant_id, type, currency),
    -- What entries refer to: pins their currency to the account's.
    UNIQUE (tenant_id, id, currency)
);

CREATE TABLE ledger_journals (
    tenant_id text NOT NULL,
    id text NOT NULL,
    source_type text NOT NULL,
    source_id text NOT NULL,
    customer_id text NOT NULL,
    reverses_journal_id text,
    posted_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    -- A money fact is posted once, however often it is redelivered.
    CONSTRAINT ledger_journals_once UNIQUE (tenant_id, source_type, source_id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    FOREIGN KEY (tenant_id, reverses_journal_id) REFERENCES ledger_journals
);
CREATE UNIQUE INDEX ledger_journals_reversed_once
    ON ledger_journals (tenant_id, reverses_journal_id) WHERE reverses_journal_id IS NOT NULL;
CREATE INDEX ledger_journals_by_customer ON ledger_journals (tenant_id, customer_id, id);

CREATE TABLE ledger_entries (
    tenant_id text NOT NULL,
    journal_id text NOT NULL,
    position integer NOT NULL,
    account_id text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('debit', 'credit')),
    currency text NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    -- The journal's.
    posted_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, journal_id, position),
    FOREIGN KEY (tenant_id, journal_id) REFERENCES ledger_journals,
    FOREIGN KEY (tenant_id, account_id, currency) REFERENCES ledger_accounts (tenant_id, id, currency)
);
-- An account's sum at any time is read from this alone.
CREATE INDEX ledger_entries_by_account ON ledger_entries (tenant_id, account_id, posted_at, journal_id, position)
    INCLUDE (direction, amount_minor);

-- Debits equal credits per journal and currency within every INSERT: an unbalanced journal cannot exist,
-- not even inside a transaction. Per statement, so that posting many journals at once costs one check.
-- Each journal begins at position 1, which the primary key gives once: nothing is added to it afterwards.
CREATE FUNCTION demand_balance() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    unbalanced text;
    posted text;
BEGIN
    SELECT e.journal_id INTO unbalanced
    FROM added e
    GROUP BY e.tenant_id, e.journal_id, e.currency
    HAVING sum(CASE e.direction WHEN 'debit' THEN e.amount_minor ELSE -e.amount_minor END) <> 0
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'journal % does not balance', unbalanced
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_balance';
    END IF;
    SELECT e.journal_id INTO posted
    FROM added e
    GROUP BY e.tenant_id, e.journal_id
    HAVING min(e.position) <> 1
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'journal % is posted: all its entries come in one INSERT, from position 1', posted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_whole';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_entries_balance AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION demand_balance();

CALL isolate_tenant('ledger_accounts');
CALL isolate_tenant('ledger_journals');
CALL isolate_tenant('ledger_entries');
-- No UPDATE, no DELETE: what is posted stays; mistakes are reversed.
GRANT SELECT, INSERT ON ledger_accounts, ledger_journals, ledger_entries TO corebilling_app, corebilling_worker;

-- migrate:down
DROP TABLE ledger_entries;
DROP FUNCTION demand_balance();
DROP TABLE ledger_journals;
DROP TABLE ledger_accounts;
