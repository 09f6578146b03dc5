-- migrate:up

-- Which invoice a consolidated cycle is on: several can be on one.
CREATE TABLE invoice_cycles (
    tenant_id text NOT NULL,
    invoice_id text NOT NULL,
    cycle_id text NOT NULL,
    subscription_id text NOT NULL,
    -- As the invoice is: its cycles can be invoiced again.
    void boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, invoice_id, cycle_id),
    FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices,
    FOREIGN KEY (tenant_id, cycle_id) REFERENCES billing_cycles
);
-- One invoice per cycle, as `invoices_once` has it for those that are alone on theirs.
CREATE UNIQUE INDEX invoice_cycles_once ON invoice_cycles (tenant_id, cycle_id) WHERE NOT void;
CREATE INDEX invoice_cycles_by_subscription ON invoice_cycles (tenant_id, subscription_id, invoice_id);

CALL isolate_tenant('invoice_cycles');
GRANT SELECT, INSERT, UPDATE ON invoice_cycles TO corebilling_app;
GRANT SELECT, INSERT ON invoice_cycles TO corebilling_worker;

-- migrate:down
DROP TABLE invoice_cycles;
