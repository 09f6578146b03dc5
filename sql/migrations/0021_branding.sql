-- migrate:up
CREATE TABLE brandings (
    tenant_id text PRIMARY KEY REFERENCES tenants (id),
    display_name text NOT NULL,
    legal_lines text[] NOT NULL,
    tax_id text NOT NULL,
    accent_color text NOT NULL,
    -- A PNG image, checked when it was set; empty for none.
    logo bytea NOT NULL CHECK (octet_length(logo) <= 65536),
    footer text NOT NULL,
    language text NOT NULL
);
CALL isolate_tenant('brandings');
GRANT SELECT, INSERT, UPDATE ON brandings TO corebilling_app;

-- migrate:down
DROP TABLE brandings;
