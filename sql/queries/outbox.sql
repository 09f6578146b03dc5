-- name: InsertEvents :exec
-- Appends events in the order of the arrays, which run in parallel, one entry per event.
INSERT INTO billing_events (
    shard, id, subject, tenant_id, resource_id, resource_version, ordering_key, payload_type, payload, correlation_id,
    causation_id, actor, traceparent, created_at
)
SELECT
    u.shard, u.id, u.subject, sqlc.arg(tenant_id)::text, u.resource_id, u.resource_version, u.ordering_key,
    u.payload_type, u.payload, u.correlation_id, u.causation_id, u.actor, u.traceparent, sqlc.arg(created_at)::timestamptz
FROM ROWS FROM (
    unnest(sqlc.arg(shards)::int[]), unnest(sqlc.arg(ids)::text[]), unnest(sqlc.arg(subjects)::text[]),
    unnest(sqlc.arg(resource_ids)::text[]), unnest(sqlc.arg(resource_versions)::bigint[]),
    unnest(sqlc.arg(ordering_keys)::text[]), unnest(sqlc.arg(payload_types)::text[]),
    unnest(sqlc.arg(payloads)::bytea[]), unnest(sqlc.arg(correlation_ids)::text[]),
    unnest(sqlc.arg(causation_ids)::text[]), unnest(sqlc.arg(actors)::text[]), unnest(sqlc.arg(traceparents)::text[])
) AS u (
    shard, id, subject, resource_id, resource_version, ordering_key, payload_type, payload, correlation_id,
    causation_id, actor, traceparent
);

-- name: InsertNewEvents :exec
-- The same, but for those whose ids the log has already. (Not one query with a switch: Postgres would plan it anew
-- at every call, which costs more than the insert.)
INSERT INTO billing_events (
    shard, id, subject, tenant_id, resource_id, resource_version, ordering_key, payload_type, payload, correlation_id,
    causation_id, actor, traceparent, created_at
)
SELECT
    u.shard, u.id, u.subject, sqlc.arg(tenant_id)::text, u.resource_id, u.resource_version, u.ordering_key,
    u.payload_type, u.payload, u.correlation_id, u.causation_id, u.actor, u.traceparent, sqlc.arg(created_at)::timestamptz
FROM ROWS FROM (
    unnest(sqlc.arg(shards)::int[]), unnest(sqlc.arg(ids)::text[]), unnest(sqlc.arg(subjects)::text[]),
    unnest(sqlc.arg(resource_ids)::text[]), unnest(sqlc.arg(resource_versions)::bigint[]),
    unnest(sqlc.arg(ordering_keys)::text[]), unnest(sqlc.arg(payload_types)::text[]),
    unnest(sqlc.arg(payloads)::bytea[]), unnest(sqlc.arg(correlation_ids)::text[]),
    unnest(sqlc.arg(causation_ids)::text[]), unnest(sqlc.arg(actors)::text[]), unnest(sqlc.arg(traceparents)::text[])
) AS u (
    shard, id, subject, resource_id, resource_version, ordering_key, payload_type, payload, correlation_id,
    causation_id, actor, traceparent
)
WHERE NOT EXISTS (
    SELECT FROM billing_events b WHERE b.tenant_id = sqlc.arg(tenant_id)::text AND b.id = u.id
);

-- name: UpsertWorker :one
-- A sign of life; returns how many workers of the role are alive.
WITH alive AS (
    INSERT INTO workers (role, id, alive_until)
    VALUES (sqlc.arg(role), sqlc.arg(id), sqlc.arg(alive_until)::timestamptz)
    ON CONFLICT (role, id) DO UPDATE SET alive_until = EXCLUDED.alive_until
    RETURNING role, id
)
SELECT ((SELECT count(*) FROM alive) + (
    SELECT count(*) FROM workers w
    WHERE w.role = sqlc.arg(role) AND w.id <> sqlc.arg(id) AND w.alive_until > sqlc.arg(now)::timestamptz
))::int AS alive;

-- name: DeleteWorker :exec
DELETE FROM workers WHERE role = sqlc.arg(role) AND (id = sqlc.arg(id) OR alive_until < sqlc.arg(now)::timestamptz);

-- name: ClaimShards :many
-- Renews the shards this dispatcher holds, and takes free ones, up to its share. A new owner gets a new lease
-- epoch, which fences the old one. SKIP LOCKED: two dispatchers that start together take different shards.
UPDATE outbox_shards s
SET owner = sqlc.arg(owner)::text,
    lease_epoch = s.lease_epoch + (CASE WHEN s.owner = sqlc.arg(owner)::text THEN 0 ELSE 1 END),
    lease_until = sqlc.arg(lease_until)::timestamptz
WHERE s.shard IN (
    SELECT f.shard FROM outbox_shards f
    WHERE f.owner = sqlc.arg(owner)::text OR f.lease_until < sqlc.arg(now)::timestamptz
    ORDER BY (f.owner = sqlc.arg(owner)::text) DESC, f.shard
    LIMIT sqlc.arg(share)::int
    FOR UPDATE SKIP LOCKED
)
RETURNING s.shard, s.epoch, s.xid, s.seq, s.lease_epoch;

-- name: ReleaseShards :exec
-- Gives back every shard but these: the surplus when another dispatcher joins, all at a clean stop.
UPDATE outbox_shards SET owner = '', lease_until = '-infinity'
WHERE owner = sqlc.arg(owner)::text AND NOT shard = ANY (sqlc.arg(keep)::int[]);

-- name: GetLogEpoch :one
SELECT log_epoch()::int AS epoch;

-- name: ListPendingEvents :many
-- Behind each shard's cursor, at most a quota each, in order. Nothing that a running transaction could still
-- precede is read: below the oldest running transaction id, what is not visible has been rolled back. Of an
-- earlier epoch everything has ended.
SELECT e.*
FROM ROWS FROM (
    unnest(sqlc.arg(shards)::int[]), unnest(sqlc.arg(epochs)::int[]), unnest(sqlc.arg(xids)::bigint[]),
    unnest(sqlc.arg(seqs)::bigint[])
) AS c (shard, epoch, xid, seq)
CROSS JOIN LATERAL (
    SELECT * FROM billing_events b
    WHERE b.shard = c.shard AND (b.epoch, b.xid, b.seq) > (c.epoch::int, c.xid::bigint, c.seq::bigint)
        AND (b.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint OR b.epoch < sqlc.arg(log_epoch)::int)
    ORDER BY b.epoch, b.xid, b.seq
    LIMIT sqlc.arg(quota)::int
) e;

-- name: MarkShardsDispatched :many
-- Moves the cursors of a round in one statement; a shard whose lease went to another does not come back.
UPDATE outbox_shards s SET epoch = u.epoch, xid = u.xid, seq = u.seq
FROM ROWS FROM (
    unnest(sqlc.arg(shards)::int[]), unnest(sqlc.arg(lease_epochs)::bigint[]), unnest(sqlc.arg(epochs)::int[]),
    unnest(sqlc.arg(xids)::bigint[]), unnest(sqlc.arg(seqs)::bigint[])
) AS u (shard, lease_epoch, epoch, xid, seq)
WHERE s.shard = u.shard AND s.owner = sqlc.arg(owner)::text AND s.lease_epoch = u.lease_epoch
RETURNING s.shard;

-- name: InsertOutboxFailure :exec
-- An event that the bus refused. Again for the same delivery changes nothing.
INSERT INTO outbox_failures (
    tenant_id, shard, epoch, xid, seq, event_id, state, attempts, error, next_attempt_at, created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(shard), sqlc.arg(epoch), sqlc.arg(xid), sqlc.arg(seq), sqlc.arg(event_id),
    sqlc.arg(state), 1, sqlc.arg(error), sqlc.arg(next_attempt_at), sqlc.arg(created_at)
)
ON CONFLICT DO NOTHING;

-- name: ListDueOutboxFailures :many
-- Of these shards: their dispatcher alone tries again.
SELECT * FROM outbox_failures
WHERE state = 'failed' AND next_attempt_at <= sqlc.arg(now) AND shard = ANY (sqlc.arg(shards)::int[])
ORDER BY next_attempt_at
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkOutboxFailure :exec
UPDATE outbox_failures
SET state = sqlc.arg(state), attempts = sqlc.arg(attempts), error = sqlc.arg(error),
    next_attempt_at = sqlc.arg(next_attempt_at)
WHERE tenant_id = sqlc.arg(tenant_id) AND shard = sqlc.arg(shard)
    AND epoch = sqlc.arg(epoch) AND xid = sqlc.arg(xid) AND seq = sqlc.arg(seq);

-- name: DeleteOutboxFailure :exec
-- The bus took it.
DELETE FROM outbox_failures
WHERE tenant_id = sqlc.arg(tenant_id) AND shard = sqlc.arg(shard)
    AND epoch = sqlc.arg(epoch) AND xid = sqlc.arg(xid) AND seq = sqlc.arg(seq);

-- name: GetBacklog :one
-- What waits behind the cursors, and since when: the age of the oldest, in seconds. Counted up to a limit per
-- shard: the figure must not cost more the worse things are.
SELECT
    count(*)::bigint AS events,
    coalesce(extract(epoch FROM sqlc.arg(now)::timestamptz - min(e.created_at)), 0)::float8 AS oldest_s
FROM outbox_shards s
CROSS JOIN LATERAL (
    SELECT b.created_at FROM billing_events b
    WHERE b.shard = s.shard AND (b.epoch, b.xid, b.seq) > (s.epoch, s.xid, s.seq)
    ORDER BY b.epoch, b.xid, b.seq
    LIMIT sqlc.arg(limit_per_shard)::int
) e;

-- name: GetHorizon :one
-- The log is read below `oldest`, the oldest transaction still running; equal to `next` when it holds nothing back.
SELECT
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next;

-- name: GetInstallation :one
SELECT id FROM installation;
