-- migrate:up

-- Row-level security of a tenant's table. Forced, so that not even the owner reads across tenants; the
-- setting is read once per statement (the subselect), and an unset tenant (NULL or '') matches nothing.
CREATE PROCEDURE isolate_tenant(table_name regclass)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', table_name);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', table_name);
    EXECUTE format(
        'CREATE POLICY tenant ON %s USING (tenant_id = (SELECT current_setting(''corebilling.tenant_id'', true)))',
        table_name);
END
$$;

-- Lets workers see a queue table's rows of all tenants, as when they look for what is due. Writes across
-- tenants are allowed only where the queue itself is worked on (access 'ALL').
CREATE PROCEDURE share_with_workers(table_name regclass, access text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE POLICY worker ON %s FOR %s TO corebilling_worker USING (true)', table_name, access);
END
$$;

CREATE TABLE tenants (
    id text PRIMARY KEY CHECK (id ~ '^ten_[0-9a-z]{1,60}$'),
    name text NOT NULL,
    slug text NOT NULL CONSTRAINT tenants_slug_taken UNIQUE,
    mode text NOT NULL CHECK (mode IN ('live', 'sandbox')),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'closed')),
    default_currency text NOT NULL,
    timezone text NOT NULL,
    auto_finalize boolean NOT NULL DEFAULT true,
    -- What a part of a period is counted in, where its fee is a share of the full one.
    proration_grain text NOT NULL DEFAULT 'second' CHECK (proration_grain IN ('second', 'day', 'none')),
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1
);
-- The platform's own tenant: it holds the operators' keys and audit entries, and alone sees all tenants.
INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at)
VALUES ('ten_platform', 'Platform', 'platform', 'live', 'USD', 'UTC', now());

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenants USING (
    id = (SELECT current_setting('corebilling.tenant_id', true))
    OR (SELECT current_setting('corebilling.tenant_id', true)) = 'ten_platform'
);
GRANT SELECT, INSERT, UPDATE ON tenants TO corebilling_app;
GRANT SELECT ON tenants TO corebilling_worker;

-- Time of sandbox tenants. The scheduler steps `now_at` through every boundary up to `target_at`.
CREATE TABLE test_clocks (
    tenant_id text PRIMARY KEY REFERENCES tenants (id),
    now_at timestamptz NOT NULL,
    target_at timestamptz NOT NULL CHECK (target_at >= now_at),
    -- A clock that failed to move is set aside until then, by the wall clock, and holds up nobody.
    failed_attempts integer NOT NULL DEFAULT 0,
    retry_at timestamptz NOT NULL DEFAULT '-infinity',
    version bigint NOT NULL DEFAULT 1
);
CALL isolate_tenant('test_clocks');
CALL share_with_workers('test_clocks', 'SELECT');
GRANT SELECT, INSERT, UPDATE ON test_clocks TO corebilling_app, corebilling_worker;

-- One data key per tenant, wrapped under the master key: secrets at rest are encrypted with it, and
-- deleting it makes them unreadable for good.
CREATE TABLE tenant_keys (
    tenant_id text PRIMARY KEY REFERENCES tenants (id),
    wrapped_key bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CALL isolate_tenant('tenant_keys');
GRANT SELECT, INSERT ON tenant_keys TO corebilling_app, corebilling_worker;

CREATE TABLE api_keys (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'billing_admin', 'operator', 'viewer', 'platform_admin')),
    prefix text NOT NULL,
    -- HMAC-SHA256 of the key under a key derived from the master key: useless without it.
    secret_hash bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    -- The permissions that it is limited to, of those of its role; none: all of them.
    scopes text[] NOT NULL,
    -- By and large: so that using a key seldom writes.
    last_used_at timestamptz,
    -- The key that took its place.
    replaced_by text,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CHECK (role <> 'platform_admin' OR tenant_id = 'ten_platform')
);
CREATE UNIQUE INDEX api_keys_by_id ON api_keys (id);
CALL isolate_tenant('api_keys');
-- The owner looks keys up for callers whose tenant is not known yet, through the function below alone.
CREATE POLICY authentication ON api_keys FOR SELECT TO corebilling_owner USING (true);
CREATE POLICY authentication ON tenants FOR SELECT TO corebilling_owner USING (true);
GRANT SELECT, INSERT, UPDATE ON api_keys TO corebilling_app;

CREATE FUNCTION find_api_key(key_id text)
RETURNS TABLE (
    tenant_id text, tenant_status text, role text, scopes text[], secret_hash bytea, expires_at timestamptz,
    revoked_at timestamptz, last_used_at timestamptz
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT k.tenant_id, t.status, k.role, k.scopes, k.secret_hash, k.expires_at, k.revoked_at, k.last_used_at
    FROM public.api_keys k JOIN public.tenants t ON t.id = k.tenant_id WHERE k.id = key_id
$$;
REVOKE ALL ON FUNCTION find_api_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key(text) TO corebilling_app;

-- Answers already given, by the caller's request id: written last in the effect's own transaction.
CREATE TABLE request_keys (
    tenant_id text NOT NULL,
    method text NOT NULL,
    request_id text NOT NULL,
    -- A digest of the account that the caller is limited to, so that its ids are its own; '' of all others.
    account text NOT NULL,
    -- SHA-256 of the request, to tell a repetition from a new request under an old id.
    request_hash bytea NOT NULL,
    -- Null once the customer was erased whose personal data it held; the hash is empty then, too.
    response bytea,
    -- Whose personal data the response holds, if it does.
    customer_id text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, method, request_id, account)
);
CREATE INDEX request_keys_by_customer ON request_keys (tenant_id, customer_id) WHERE customer_id IS NOT NULL;
CALL isolate_tenant('request_keys');
GRANT SELECT, INSERT, UPDATE (request_hash, response) ON request_keys TO corebilling_app;

-- Holds a request id until the transaction ends (`claimed` is false when another transaction holds it) and
-- reads the answer. Two statements, so that the second sees what was committed before the lock came free.
CREATE FUNCTION claim_request(of_tenant_id text, of_method text, of_request_id text, of_account text)
RETURNS TABLE (claimed boolean, request_hash bytea, response bytea)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    claimed := pg_try_advisory_xact_lock(
        hashtextextended(concat_ws(E'\x1f', of_tenant_id, of_method, of_request_id, of_account), 0));
    SELECT r.request_hash, r.response INTO request_hash, response
    FROM request_keys r
    WHERE r.tenant_id = of_tenant_id AND r.method = of_method AND r.request_id = of_request_id
        AND r.account = of_account;
    RETURN NEXT;
END
$$;
GRANT EXECUTE ON FUNCTION claim_request(text, text, text, text) TO corebilling_app;

-- migrate:down
DROP FUNCTION claim_request(text, text, text, text);
DROP TABLE request_keys;
DROP FUNCTION find_api_key(text);
DROP TABLE api_keys;
DROP TABLE tenant_keys;
DROP TABLE test_clocks;
DROP TABLE tenants;
DROP PROCEDURE share_with_workers(regclass, text);
DROP PROCEDURE isolate_tenant(regclass);
