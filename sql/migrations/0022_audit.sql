-- migrate:up

-- Who did what: one row for each call that changed something, written in the transaction of the change. Ids only;
-- never names, addresses or secrets. In the order (epoch, xid, seq) it is read like billing_events, up to the oldest
-- transaction still running, so that a late commit is never passed over. See docs/decisions/0020-audit-log.md.
CREATE TABLE audit_entries (
    tenant_id text NOT NULL,
    id text NOT NULL,
    epoch integer NOT NULL DEFAULT log_epoch(),
    xid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    occurred_at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    request_id text NOT NULL,
    correlation_id text NOT NULL,
    trace_id text NOT NULL,
    ip text NOT NULL,
    user_agent text NOT NULL,
    -- Why, in the caller's words: of methods that ask for it.
    reason text NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_entries_by_position ON audit_entries (epoch, xid, seq);
CREATE INDEX audit_entries_by_actor ON audit_entries (tenant_id, actor, id);

-- What it changed, row by row: written by triggers, and by nothing else.
CREATE TABLE audit_changes (
    tenant_id text NOT NULL,
    audit_id text NOT NULL,
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- The table, and the row's id, or that of what it belongs to.
    resource_type text NOT NULL,
    resource_id text NOT NULL,
    operation text NOT NULL CHECK (operation IN ('insert', 'update', 'delete')),
    -- Of an update: the columns that differ. '***' stands for personal data and secrets.
    old jsonb,
    new jsonb,
    PRIMARY KEY (tenant_id, audit_id, seq)
);
CREATE INDEX audit_changes_by_resource ON audit_changes (tenant_id, resource_id, audit_id);

CALL isolate_tenant('audit_entries');
CALL isolate_tenant('audit_changes');
CALL share_with_workers('audit_entries', 'SELECT');
CALL share_with_workers('audit_changes', 'SELECT');
-- Its place in the order is not the writer's to choose: an entry put behind what is sealed would be passed over.
GRANT INSERT (
    tenant_id, id, occurred_at, actor, action, request_id, correlation_id, trace_id, ip, user_agent, reason
) ON audit_entries TO corebilling_app;
GRANT SELECT ON audit_entries, audit_changes TO corebilling_app;
GRANT SELECT ON audit_entries, audit_changes TO corebilling_worker;
-- The trigger's own right: a change belongs to its entry's tenant, also where a new tenant is given its first rows.
CREATE POLICY recording ON audit_changes FOR INSERT TO corebilling_owner WITH CHECK (true);

-- Its arguments: the columns of the row's identity, the first being the resource's id, and those to mask: of these is
-- said that a value is there, and nothing of it. (In a loop: a function in SQL would be planned in each transaction.)
CREATE FUNCTION audit_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    entry text[] := string_to_array(current_setting('corebilling.audit'), ' ');
    identity text[] := TG_ARGV[0]::text[];
    before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    after jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    resource_id text := coalesce(after, before) ->> identity[1];
    name text;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF before = after THEN
            RETURN NULL;
        END IF;
        SELECT jsonb_object_agg(b.key, b.value), jsonb_object_agg(a.key, a.value) INTO before, after
        FROM jsonb_each(before) b JOIN jsonb_each(after) a ON a.key = b.key
        WHERE a.value <> b.value OR a.key = ANY (identity[2:]);
    END IF;
    IF TG_NARGS > 1 THEN
        FOREACH name IN ARRAY TG_ARGV[1]::text[] LOOP
            IF before ->> name <> '' THEN
                before := jsonb_set(before, ARRAY[name], '"***"');
            END IF;
            IF after ->> name <> '' THEN
                after := jsonb_set(after, ARRAY[name], '"***"');
            END IF;
        END LOOP;
    END IF;
    INSERT INTO public.audit_changes (tenant_id, audit_id, resource_type, resource_id, operation, old, new)
    VALUES (entry[1], entry[2], TG_TABLE_NAME, resource_id, lower(TG_OP), before, after);
    RETURN NULL;
END
$$;

-- Has the table's changes recorded. Only of calls that are audited: their transactions alone have the setting, and
-- what all others pay is a look at it.
CREATE PROCEDURE audit_table(table_name regclass, identity text, masked text DEFAULT NULL)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER audited AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW '
        'WHEN (current_setting(''corebilling.audit'', true) <> '''') EXECUTE FUNCTION audit_change(%s)',
        table_name, concat_ws(', ', quote_literal(identity), quote_literal(masked)));
END
$$;

-- What is left out, and why, stands in tests/queries/test_audit_triggers.py.
CALL audit_table('tenants', '{id}');
CALL audit_table('test_clocks', '{tenant_id}');
CALL audit_table('api_keys', '{id}', '{secret_hash}');
CALL audit_table('brandings', '{tenant_id}', '{logo}');
CALL audit_table('customers', '{id}', '{external_id,name,company,email,tax_id,address}');
CALL audit_table('tax_exemptions', '{customer_id}', '{reference}');
CALL audit_table('tax_rates', '{id}');
CALL audit_table('tax_terms', '{tenant_id}');
CALL audit_table('products', '{id}');
CALL audit_table('meters', '{id}');
CALL audit_table('prices', '{id}');
CALL audit_table('plans', '{id}');
CALL audit_table('plan_items', '{plan_id}');
CALL audit_table('price_overrides', '{id}');
CALL audit_table('subscriptions', '{id}');
CALL audit_table('subscription_items', '{id}');
CALL audit_table('subscription_changes', '{id}');
CALL audit_table('billing_cycles', '{id}');
CALL audit_table('quotas', '{id}');
CALL audit_table('features', '{subject_id,code}');
CALL audit_table('coupons', '{id}');
CALL audit_table('discounts', '{id}');
CALL audit_table('credits', '{id}');
CALL audit_table('invoices', '{id}', '{bill_to}');
CALL audit_table('invoice_payments', '{id}');
CALL audit_table('credit_notes', '{id}');
CALL audit_table('webhooks', '{id}', '{url,secret_ciphertext,previous_secret_ciphertext}');

-- Nobody changes what was written, not even its owner.
CREATE FUNCTION refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE PROCEDURE keep_as_written(table_name regclass)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT '
        'EXECUTE FUNCTION refuse_change()', table_name);
END
$$;
CALL keep_as_written('audit_entries');
CALL keep_as_written('audit_changes');

-- The chain of each tenant's entries: hashes are SHA-256, see corebilling/domains/audit/model.py.
CREATE TABLE audit_seals (
    tenant_id text NOT NULL,
    position bigint NOT NULL CHECK (position > 0),
    audit_id text NOT NULL,
    entry_hash bytea NOT NULL,
    -- Of the seal before, the position and the entry's hash.
    hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, position),
    CONSTRAINT audit_seals_once UNIQUE (tenant_id, audit_id)
);
-- How far a chain went, signed with Ed25519.
CREATE TABLE audit_heads (
    tenant_id text NOT NULL,
    count bigint NOT NULL,
    hash bytea NOT NULL,
    sealed_at timestamptz NOT NULL,
    key_id text NOT NULL,
    signature bytea NOT NULL,
    PRIMARY KEY (tenant_id, count)
);
CALL isolate_tenant('audit_seals');
CALL isolate_tenant('audit_heads');
CALL share_with_workers('audit_seals', 'SELECT');
GRANT SELECT ON audit_seals, audit_heads TO corebilling_app;
GRANT SELECT, INSERT ON audit_seals TO corebilling_worker;
GRANT INSERT ON audit_heads TO corebilling_worker;
CALL keep_as_written('audit_seals');
CALL keep_as_written('audit_heads');

-- Up to where everything is sealed, so that nobody has to look for it from the beginning: one row, which the sealing
-- transaction holds locked.
CREATE TABLE audit_sealing (
    epoch integer NOT NULL DEFAULT 0,
    xid bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one)
);
INSERT INTO audit_sealing DEFAULT VALUES;
GRANT SELECT ON audit_sealing TO corebilling_worker;
GRANT UPDATE (epoch, xid, seq) ON audit_sealing TO corebilling_worker;

-- Whoever moves it: forward, and past nothing that is not sealed, nor past what a running transaction may still add.
-- With the mover's own rights, since those of the tables' owner would show it no entries.
CREATE FUNCTION refuse_to_skip() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (NEW.epoch, NEW.xid, NEW.seq) < (OLD.epoch, OLD.xid, OLD.seq)
        OR NEW.epoch > public.log_epoch()
        OR (NEW.epoch = public.log_epoch() AND NEW.xid >= pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
        OR EXISTS (
            SELECT FROM public.audit_entries e
            WHERE (e.epoch, e.xid, e.seq) > (OLD.epoch, OLD.xid, OLD.seq)
                AND (e.epoch, e.xid, e.seq) <= (NEW.epoch, NEW.xid, NEW.seq)
                AND NOT EXISTS (
                    SELECT FROM public.audit_seals s WHERE s.tenant_id = e.tenant_id AND s.audit_id = e.id
                )
        )
    THEN
        RAISE EXCEPTION 'audit_sealing moves forward, past what is sealed' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER nothing_skipped BEFORE UPDATE ON audit_sealing FOR EACH ROW EXECUTE FUNCTION refuse_to_skip();

-- migrate:down
DROP TABLE audit_sealing;
DROP FUNCTION refuse_to_skip();
DROP TABLE audit_heads;
DROP TABLE audit_seals;
DROP PROCEDURE keep_as_written(regclass);
DO $$
DECLARE
    audited regclass;
BEGIN
    FOR audited IN SELECT tgrelid FROM pg_trigger WHERE tgname = 'audited' LOOP
        EXECUTE format('DROP TRIGGER audited ON %s', audited);
    END LOOP;
END
$$;
DROP PROCEDURE audit_table(regclass, text, text);
DROP FUNCTION audit_change();
DROP TABLE audit_changes;
DROP TABLE audit_entries;
DROP FUNCTION refuse_change();
