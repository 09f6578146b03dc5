-- migrate:up

-- Generation of the cluster: transaction ids begin anew when a backup is restored into another one, so that
-- the restore must replace this function by one that returns the next number.
CREATE FUNCTION log_epoch() RETURNS integer LANGUAGE sql STABLE AS 'SELECT 1';
GRANT EXECUTE ON FUNCTION log_epoch() TO corebilling_app, corebilling_worker;

-- Which installation's log this is: deliveries say so, for two may share a broker by mistake. A copy of the
-- database that lives on beside it must get another one.
CREATE TABLE installation (
    id text NOT NULL,
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one)
);
INSERT INTO installation (id) VALUES (gen_random_uuid()::text);
GRANT SELECT ON installation TO corebilling_app, corebilling_worker;

-- The log of everything that happened, and the outbox in one: append-only, read in the order
-- (shard, epoch, xid, seq) up to the oldest transaction still running, so that a late commit is never
-- passed over. See docs/decisions/0001-outbox.md.
CREATE TABLE billing_events (
    shard integer NOT NULL,
    epoch integer NOT NULL DEFAULT log_epoch(),
    xid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    id text NOT NULL,
    subject text NOT NULL,
    tenant_id text NOT NULL,
    resource_id text NOT NULL,
    resource_version bigint NOT NULL,
    ordering_key text NOT NULL,
    -- Full name and bytes of the payload message.
    payload_type text NOT NULL,
    payload bytea NOT NULL,
    correlation_id text NOT NULL,
    causation_id text NOT NULL,
    actor text NOT NULL,
    traceparent text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (shard, epoch, xid, seq)
);
CREATE INDEX billing_events_by_id ON billing_events (tenant_id, id);
CREATE INDEX billing_events_by_correlation ON billing_events (tenant_id, correlation_id);
CREATE INDEX billing_events_by_resource ON billing_events (tenant_id, resource_id, id);
-- A tenant's events in the order of the log, for those who watch them.
CREATE INDEX billing_events_by_position ON billing_events (tenant_id, epoch, xid, seq);
CALL isolate_tenant('billing_events');
CALL share_with_workers('billing_events', 'SELECT');
GRANT SELECT, INSERT ON billing_events TO corebilling_app, corebilling_worker;

-- One row per shard: how far the dispatcher is, and who dispatches. `lease_epoch` rises with every new
-- owner and fences the former one: its updates no longer match.
CREATE TABLE outbox_shards (
    shard integer PRIMARY KEY,
    epoch integer NOT NULL DEFAULT 0,
    xid bigint NOT NULL DEFAULT 0,
    seq bigint NOT NULL DEFAULT 0,
    owner text NOT NULL DEFAULT '',
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 20);
INSERT INTO outbox_shards (shard) SELECT generate_series(0, 63);
GRANT SELECT ON outbox_shards TO corebilling_app;
GRANT SELECT, UPDATE ON outbox_shards TO corebilling_worker;

-- Who routes which shard, where the bus does not assign them itself. Only to spare routers each other's work:
-- the watermarks keep them apart.
CREATE TABLE router_shards (
    shard integer PRIMARY KEY,
    owner text NOT NULL DEFAULT '',
    lease_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 20);
INSERT INTO router_shards (shard) SELECT generate_series(0, 63);
GRANT SELECT, UPDATE ON router_shards TO corebilling_worker;

-- Which workers are alive, so that each takes its fair share of the shards.
CREATE TABLE workers (
    role text NOT NULL,
    id text NOT NULL,
    alive_until timestamptz NOT NULL,
    PRIMARY KEY (role, id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON workers TO corebilling_worker;

-- Events that the bus refused for a fault of their own, until it takes them or tries are used up. The platform's
-- own handlers do not depend on it: their router reads from the log what the bus did not bring.
CREATE TABLE outbox_failures (
    tenant_id text NOT NULL,
    shard integer NOT NULL,
    epoch integer NOT NULL,
    xid bigint NOT NULL,
    seq bigint NOT NULL,
    event_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('failed', 'dead_letter', 'discarded')),
    attempts integer NOT NULL,
    error text NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    -- Of a discarded one: who gave it up, and why.
    discarded_by text NOT NULL DEFAULT '',
    discard_reason text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, shard, epoch, xid, seq)
);
CREATE INDEX outbox_failures_by_event ON outbox_failures (tenant_id, event_id);
CREATE INDEX outbox_failures_due ON outbox_failures (next_attempt_at) WHERE state = 'failed';
CALL isolate_tenant('outbox_failures');
CALL share_with_workers('outbox_failures', 'ALL');
GRANT SELECT, UPDATE ON outbox_failures TO corebilling_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox_failures TO corebilling_worker;

-- The inbox: up to where each handler has done each shard, moved in the transaction of the effects.
CREATE TABLE event_watermarks (
    handler text NOT NULL,
    shard integer NOT NULL,
    epoch integer NOT NULL,
    xid bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (handler, shard)
) WITH (fillfactor = 20);
GRANT SELECT ON event_watermarks TO corebilling_app;
GRANT SELECT, INSERT, UPDATE ON event_watermarks TO corebilling_worker;

-- What was handled together, in one transaction, and when: everything after the one position of the shard, up
-- to the other. `handler` is '' for all that were not done yet, or the one that had to be tried by itself.
-- Written with the effects, never changed but by a later try, and deleted after some days.
CREATE TABLE event_batches (
    started_at timestamptz NOT NULL,
    xid bigint NOT NULL,
    seq bigint NOT NULL,
    after_xid bigint NOT NULL,
    after_seq bigint NOT NULL,
    shard integer NOT NULL,
    epoch integer NOT NULL,
    after_epoch integer NOT NULL,
    duration_us integer NOT NULL,
    handler text NOT NULL,
    worker text NOT NULL,
    PRIMARY KEY (shard, epoch, xid, seq, handler)
);
GRANT SELECT ON event_batches TO corebilling_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON event_batches TO corebilling_worker;

-- The exceptions below the watermark: events a handler failed on, those queued behind them, and replays.
CREATE TABLE event_handler_failures (
    tenant_id text NOT NULL,
    handler text NOT NULL,
    shard integer NOT NULL,
    epoch integer NOT NULL,
    xid bigint NOT NULL,
    seq bigint NOT NULL,
    event_id text NOT NULL,
    ordering_key text NOT NULL,
    state text NOT NULL CHECK (state IN ('failed', 'blocked', 'dead_letter', 'discarded')),
    attempts integer NOT NULL DEFAULT 0,
    error text NOT NULL DEFAULT '',
    next_attempt_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    -- Of a discarded one: who gave it up, and why.
    discarded_by text NOT NULL DEFAULT '',
    discard_reason text NOT NULL DEFAULT '',
    -- The replay that wants the event handled again; '' for an ordinary failure. Later events of the key do not
    -- wait for it: they were handled long ago.
    replay_id text NOT NULL DEFAULT '',
    -- It was handled before the replay: when that was remains what is told of it.
    handled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, handler, shard, epoch, xid, seq)
);
-- Replays have indexes of their own: however many there are, what failed is found as fast.
CREATE INDEX event_handler_failures_due ON event_handler_failures (next_attempt_at)
    WHERE state = 'failed' AND replay_id = '';
CREATE INDEX event_handler_failures_replays_due ON event_handler_failures (next_attempt_at)
    WHERE state = 'failed' AND replay_id <> '';
CREATE INDEX event_handler_failures_by_key
    ON event_handler_failures (shard, handler, tenant_id, ordering_key)
    WHERE state IN ('failed', 'blocked') AND replay_id = '';
CREATE INDEX event_handler_failures_by_event ON event_handler_failures (tenant_id, event_id);
CREATE INDEX event_handler_failures_by_replay
    ON event_handler_failures (tenant_id, replay_id, handler, ordering_key) WHERE replay_id <> '';
CALL isolate_tenant('event_handler_failures');
CALL share_with_workers('event_handler_failures', 'ALL');
-- The app puts in what is replayed.
GRANT SELECT, INSERT, UPDATE ON event_handler_failures TO corebilling_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON event_handler_failures TO corebilling_worker;

-- How far every delivery has come, for people and RPCs.
CREATE VIEW billing_event_states WITH (security_invoker = true) AS
SELECT
    e.tenant_id, e.id, e.shard, e.epoch, e.xid, e.seq, e.subject, e.created_at,
    (CASE
        WHEN EXISTS (SELECT FROM outbox_failures f
                WHERE f.tenant_id = e.tenant_id AND f.event_id = e.id AND f.state = 'dead_letter')
            OR EXISTS (SELECT FROM event_handler_failures h
                WHERE h.tenant_id = e.tenant_id AND h.event_id = e.id AND h.state = 'dead_letter')
            THEN 'dead_letter'
        WHEN EXISTS (SELECT FROM outbox_failures f
                WHERE f.tenant_id = e.tenant_id AND f.event_id = e.id AND f.state = 'failed')
            OR EXISTS (SELECT FROM event_handler_failures h
                WHERE h.tenant_id = e.tenant_id AND h.event_id = e.id AND h.state IN ('failed', 'blocked')
                    -- What a replay only asks for has not failed.
                    AND (h.replay_id = '' OR h.attempts > 0))
            THEN 'failed'
        WHEN (e.epoch, e.xid, e.seq) <= (s.epoch, s.xid, s.seq) THEN 'dispatched'
        ELSE 'pending'
    END)::text AS state
FROM billing_events e JOIN outbox_shards s ON s.shard = e.shard;
GRANT SELECT ON billing_event_states TO corebilling_app, corebilling_worker;

-- What waits for an operator, and what an operator has given up: of the bus (no handler) and of handlers.
CREATE VIEW event_dead_letters WITH (security_invoker = true) AS
SELECT
    f.tenant_id, 'dispatch'::text AS stage, f.event_id, ''::text AS handler, f.shard, f.epoch, f.xid, f.seq, f.state,
    f.attempts, f.error, f.created_at, f.discarded_by, f.discard_reason
FROM outbox_failures f WHERE f.state IN ('dead_letter', 'discarded')
UNION ALL
SELECT
    h.tenant_id, 'handler'::text, h.event_id, h.handler, h.shard, h.epoch, h.xid, h.seq, h.state,
    h.attempts, h.error, h.created_at, h.discarded_by, h.discard_reason
FROM event_handler_failures h WHERE h.state IN ('dead_letter', 'discarded');
GRANT SELECT ON event_dead_letters TO corebilling_app;

-- migrate:down
DROP VIEW event_dead_letters;
DROP VIEW billing_event_states;
DROP TABLE event_handler_failures;
DROP TABLE event_batches;
DROP TABLE event_watermarks;
DROP TABLE outbox_failures;
DROP TABLE workers;
DROP TABLE router_shards;
DROP TABLE outbox_shards;
DROP TABLE billing_events;
DROP TABLE installation;
DROP FUNCTION log_epoch();
