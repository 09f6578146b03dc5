-- migrate:up

-- Run by an administrator (a superuser, or a role that may create roles). Everything after this file runs
-- as corebilling_owner, who therefore owns every object.
--
-- Roles belong to the whole server, so another database may have made them already, even at this moment.
DO $$
DECLARE
    statement text;
BEGIN
    FOREACH statement IN ARRAY ARRAY[
        'CREATE ROLE corebilling_owner NOLOGIN',
        'CREATE ROLE corebilling_app LOGIN',
        'CREATE ROLE corebilling_worker LOGIN'
    ] LOOP
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
    -- A superuser needs no membership to act as the owner; any other administrator does.
    IF NOT pg_has_role(current_user, 'corebilling_owner', 'MEMBER') THEN
        EXECUTE format('GRANT corebilling_owner TO %I', current_user);
    END IF;
END
$$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO corebilling_owner;
GRANT USAGE ON SCHEMA public TO corebilling_app, corebilling_worker;

-- So that a server can tell whether the schema is the one it was written for.
GRANT SELECT ON schema_migrations TO corebilling_app, corebilling_worker;

-- Each table and function grants what it gives: a new one is closed until its migration opens it.
ALTER DEFAULT PRIVILEGES FOR ROLE corebilling_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- The tenant of a transaction is the setting corebilling.tenant_id, set by SET LOCAL and by nothing else.
-- Policies read it as (SELECT current_setting('corebilling.tenant_id', true)): once per statement; NULL or
-- '' outside of a transaction, which equals no tenant.

-- migrate:down
ALTER DEFAULT PRIVILEGES FOR ROLE corebilling_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
REVOKE ALL ON schema_migrations FROM corebilling_app, corebilling_worker;
REVOKE ALL ON SCHEMA public FROM corebilling_owner, corebilling_app, corebilling_worker;
GRANT USAGE ON SCHEMA public TO PUBLIC;
-- The roles stay: other databases of the server may use them.
