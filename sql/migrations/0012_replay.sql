-- migrate:up

-- Replays of events, running and past. The runs themselves, one handler on one event each, are rows of
-- event_handler_failures that carry the replay's id, until they are done.
CREATE TABLE replays (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    request_id text NOT NULL,
    -- A `billing.replay.v1.ReplayFilter` in JSON.
    filter jsonb NOT NULL,
    -- Only these; none: every handler of each event.
    handlers text[] NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    state text NOT NULL CHECK (state IN ('running', 'finished')),
    -- How far the tenant's log has been looked through, and how far it will be: where it ended at the start.
    epoch integer NOT NULL,
    xid bigint NOT NULL,
    seq bigint NOT NULL,
    to_epoch integer NOT NULL,
    to_xid bigint NOT NULL,
    to_seq bigint NOT NULL,
    -- Events.
    matched bigint NOT NULL,
    remaining bigint NOT NULL,
    -- Runs. `done` and `failed` are filled in when it is finished: till then the rows tell.
    enqueued bigint NOT NULL DEFAULT 0,
    done bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    skipped_on_the_way bigint NOT NULL DEFAULT 0,
    skipped_retrying bigint NOT NULL DEFAULT 0,
    skipped_discarded bigint NOT NULL DEFAULT 0,
    -- When its rate lets it go on, whoever drives it.
    next_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT replays_once UNIQUE (tenant_id, request_id),
    CHECK ((state = 'finished') = (finished_at IS NOT NULL))
) WITH (fillfactor = 50);
CALL isolate_tenant('replays');
GRANT SELECT, INSERT, UPDATE ON replays TO corebilling_app;

-- Runs that a replay's handlers gave up and that another replay began again while it ran: their rows of
-- event_handler_failures carry the other's id now. Only ever added to, so that no replay waits for another.
CREATE TABLE replay_runs_taken (
    tenant_id text NOT NULL,
    replay_id text NOT NULL,
    handler text NOT NULL,
    shard integer NOT NULL,
    epoch integer NOT NULL,
    xid bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (tenant_id, replay_id, handler, shard, epoch, xid, seq)
);
CALL isolate_tenant('replay_runs_taken');
GRANT SELECT, INSERT ON replay_runs_taken TO corebilling_app;

-- When events were last replayed. Most never are.
CREATE TABLE event_replays (
    tenant_id text NOT NULL,
    event_id text NOT NULL,
    last_replayed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
);
CALL isolate_tenant('event_replays');
GRANT SELECT, INSERT, UPDATE ON event_replays TO corebilling_app;

-- migrate:down
DROP TABLE event_replays;
DROP TABLE replay_runs_taken;
DROP TABLE replays;
