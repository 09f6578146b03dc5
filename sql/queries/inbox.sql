-- name: InsertWatermarks :exec
-- The first handlers of an installation begin at the beginning, though a dispatcher may have been faster to
-- start. A handler that joins them later begins at the cursors: what was dispatched before reaches it by replay.
INSERT INTO event_watermarks (handler, shard, epoch, xid, seq)
SELECT
    h.handler, s.shard,
    (CASE WHEN k.others THEN s.epoch ELSE 0 END), (CASE WHEN k.others THEN s.xid ELSE 0 END),
    (CASE WHEN k.others THEN s.seq ELSE 0 END)
FROM unnest(sqlc.arg(handlers)::text[]) AS h (handler)
CROSS JOIN outbox_shards s
CROSS JOIN (SELECT EXISTS (SELECT FROM event_watermarks) AS others) k
ON CONFLICT DO NOTHING;

-- name: ListWatermarks :many
-- Of one shard; `parked` says that some handler has failed events there.
SELECT
    w.handler, w.epoch, w.xid, w.seq,
    EXISTS (
        SELECT FROM event_handler_failures f
        WHERE f.shard = w.shard AND f.handler = w.handler AND f.state IN ('failed', 'blocked') AND f.replay_id = ''
    )::boolean AS parked
FROM event_watermarks w
WHERE w.shard = sqlc.arg(shard) AND w.handler = ANY (sqlc.arg(handlers)::text[]);

-- name: MarkWatermarks :execrows
UPDATE event_watermarks SET epoch = sqlc.arg(epoch), xid = sqlc.arg(xid), seq = sqlc.arg(seq)
WHERE shard = sqlc.arg(shard) AND handler = ANY (sqlc.arg(handlers)::text[])
    AND (epoch, xid, seq) < (sqlc.arg(epoch)::int, sqlc.arg(xid)::bigint, sqlc.arg(seq)::bigint);

-- name: MarkBatchHandled :exec
-- The same, for a batch that was handled in this transaction: it is noted when, and for how long.
WITH moved AS (
    UPDATE event_watermarks w SET epoch = sqlc.arg(epoch), xid = sqlc.arg(xid), seq = sqlc.arg(seq)
    WHERE w.shard = sqlc.arg(shard) AND w.handler = ANY (sqlc.arg(handlers)::text[])
        AND (w.epoch, w.xid, w.seq) < (sqlc.arg(epoch)::int, sqlc.arg(xid)::bigint, sqlc.arg(seq)::bigint)
    RETURNING w.handler
)
INSERT INTO event_batches (
    shard, epoch, xid, seq, handler, after_epoch, after_xid, after_seq, started_at, duration_us, worker
)
SELECT
    sqlc.arg(shard)::int, sqlc.arg(epoch)::int, sqlc.arg(xid)::bigint, sqlc.arg(seq)::bigint, sqlc.arg(handler)::text,
    sqlc.arg(after_epoch)::int, sqlc.arg(after_xid)::bigint, sqlc.arg(after_seq)::bigint,
    sqlc.arg(started_at)::timestamptz, least(extract(epoch FROM clock_timestamp() - now()) * 1000000, 2147483647)::int, sqlc.arg(worker)::text
WHERE EXISTS (SELECT FROM moved)
ON CONFLICT (shard, epoch, xid, seq, handler) DO NOTHING;

-- name: UpsertRetriedBatch :exec
-- One event that one handler managed at a later try.
INSERT INTO event_batches (
    shard, epoch, xid, seq, handler, after_epoch, after_xid, after_seq, started_at, duration_us, worker
)
VALUES (
    sqlc.arg(shard)::int, sqlc.arg(epoch)::int, sqlc.arg(xid)::bigint, sqlc.arg(seq)::bigint, sqlc.arg(handler)::text,
    sqlc.arg(epoch)::int, sqlc.arg(xid)::bigint, sqlc.arg(seq)::bigint - 1,
    sqlc.arg(started_at)::timestamptz, least(extract(epoch FROM clock_timestamp() - now()) * 1000000, 2147483647)::int, sqlc.arg(worker)::text
)
ON CONFLICT (shard, epoch, xid, seq, handler) DO UPDATE
SET started_at = EXCLUDED.started_at, duration_us = EXCLUDED.duration_us, worker = EXCLUDED.worker;

-- name: DeleteOldBatches :execrows
-- A step: the first of each shard. SKIP LOCKED: another router may be at it.
DELETE FROM event_batches b
USING outbox_shards s
CROSS JOIN LATERAL (
    SELECT o.epoch, o.xid, o.seq, o.handler, o.started_at FROM event_batches o
    WHERE o.shard = s.shard
    ORDER BY o.epoch, o.xid, o.seq, o.handler
    LIMIT sqlc.arg(limit_per_shard)::int
    FOR UPDATE SKIP LOCKED
) old
WHERE b.shard = s.shard AND b.epoch = old.epoch AND b.xid = old.xid AND b.seq = old.seq AND b.handler = old.handler
    AND old.started_at < sqlc.arg(before)::timestamptz;

-- name: ListParkedKeys :many
-- Keys whose later events queue up behind a failed one, with the first such. None does behind a replayed one.
SELECT DISTINCT ON (handler, tenant_id, ordering_key) handler, tenant_id, ordering_key, epoch, xid, seq
FROM event_handler_failures
WHERE shard = sqlc.arg(shard) AND state IN ('failed', 'blocked') AND replay_id = ''
ORDER BY handler, tenant_id, ordering_key, epoch, xid, seq;

-- name: InsertHandlerFailure :exec
INSERT INTO event_handler_failures (
    tenant_id, handler, shard, epoch, xid, seq, event_id, ordering_key, state, attempts, error, next_attempt_at,
    created_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(handler), sqlc.arg(shard), sqlc.arg(epoch), sqlc.arg(xid), sqlc.arg(seq),
    sqlc.arg(event_id), sqlc.arg(ordering_key), sqlc.arg(state), sqlc.arg(attempts), sqlc.arg(error),
    sqlc.arg(next_attempt_at), sqlc.arg(created_at)
)
ON CONFLICT DO NOTHING;

-- name: ListDueHandlerFailures :many
-- Of these handlers: what a handler left behind that is gone must not fill the list. Each key in the order of the
-- log: dead letters that were put back together may not overtake one that failed again and waits.
SELECT f.* FROM event_handler_failures f
WHERE f.state = 'failed' AND f.replay_id = '' AND f.next_attempt_at <= sqlc.arg(now)::timestamptz
    AND f.handler = ANY (sqlc.arg(handlers)::text[])
    AND NOT EXISTS (
        SELECT FROM event_handler_failures e
        WHERE e.shard = f.shard AND e.handler = f.handler AND e.tenant_id = f.tenant_id
            AND e.ordering_key = f.ordering_key AND e.state = 'failed' AND e.replay_id = ''
            AND (e.epoch, e.xid, e.seq) < (f.epoch, f.xid, f.seq) AND e.next_attempt_at > f.next_attempt_at
    )
ORDER BY f.next_attempt_at, f.epoch, f.xid, f.seq
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListDueReplays :many
-- The same of replays, each key in the order of the log: what comes later in it than one that failed and waits
-- for its next try is left out.
SELECT f.* FROM event_handler_failures f
WHERE f.state = 'failed' AND f.replay_id <> '' AND f.next_attempt_at <= sqlc.arg(now)::timestamptz
    AND f.handler = ANY (sqlc.arg(handlers)::text[])
    AND NOT EXISTS (
        SELECT FROM event_handler_failures e
        WHERE e.tenant_id = f.tenant_id AND e.replay_id = f.replay_id AND e.replay_id <> '' AND e.handler = f.handler
            AND e.ordering_key = f.ordering_key AND e.state = 'failed'
            AND (e.epoch, e.xid, e.seq) < (f.epoch, f.xid, f.seq) AND e.next_attempt_at > f.next_attempt_at
    )
ORDER BY f.next_attempt_at, f.epoch, f.xid, f.seq
LIMIT sqlc.arg(limit_rows)::int;

-- name: FindDueFailure :one
-- One as it stands: `reached` when the handler has come to its position, `preceded` when an earlier event of its
-- key failed too and is tried first (of the same replay, if it is replayed).
SELECT
    f.state, f.attempts,
    EXISTS (
        SELECT FROM event_watermarks w
        WHERE w.handler = f.handler AND w.shard = f.shard AND (w.epoch, w.xid, w.seq) >= (f.epoch, f.xid, f.seq)
    )::boolean AS reached,
    (f.replay_id <> '' AND EXISTS (
        SELECT FROM event_handler_failures e
        WHERE e.tenant_id = f.tenant_id AND e.replay_id = f.replay_id AND e.replay_id <> '' AND e.handler = f.handler
            AND e.ordering_key = f.ordering_key AND e.state = 'failed'
            AND (e.epoch, e.xid, e.seq) < (f.epoch, f.xid, f.seq)
    ) OR f.replay_id = '' AND EXISTS (
        SELECT FROM event_handler_failures e
        WHERE e.shard = f.shard AND e.handler = f.handler AND e.tenant_id = f.tenant_id
            AND e.ordering_key = f.ordering_key AND e.state = 'failed' AND e.replay_id = ''
            AND (e.epoch, e.xid, e.seq) < (f.epoch, f.xid, f.seq)
    ))::boolean AS preceded
FROM event_handler_failures f
WHERE f.tenant_id = sqlc.arg(tenant_id) AND f.handler = sqlc.arg(handler) AND f.shard = sqlc.arg(shard)
    AND f.epoch = sqlc.arg(epoch) AND f.xid = sqlc.arg(xid) AND f.seq = sqlc.arg(seq);

-- name: MarkHandlerFailure :exec
UPDATE event_handler_failures
SET state = sqlc.arg(state), attempts = sqlc.arg(attempts), error = sqlc.arg(error),
    next_attempt_at = sqlc.arg(next_attempt_at)
WHERE tenant_id = sqlc.arg(tenant_id) AND handler = sqlc.arg(handler) AND shard = sqlc.arg(shard)
    AND epoch = sqlc.arg(epoch) AND xid = sqlc.arg(xid) AND seq = sqlc.arg(seq);

-- name: DeleteHandlerFailure :exec
DELETE FROM event_handler_failures
WHERE tenant_id = sqlc.arg(tenant_id) AND handler = sqlc.arg(handler) AND shard = sqlc.arg(shard)
    AND epoch = sqlc.arg(epoch) AND xid = sqlc.arg(xid) AND seq = sqlc.arg(seq);

-- name: MarkNextUnblocked :exec
-- The next event of the key comes to its turn: at once, with no attempt spent. Not past another that failed and
-- is tried again.
UPDATE event_handler_failures f
SET state = 'failed', next_attempt_at = sqlc.arg(now)
FROM (
    SELECT b.epoch, b.xid, b.seq FROM event_handler_failures b
    WHERE b.tenant_id = sqlc.arg(tenant_id) AND b.handler = sqlc.arg(handler) AND b.shard = sqlc.arg(shard)
        AND b.ordering_key = sqlc.arg(ordering_key) AND b.state = 'blocked' AND b.replay_id = ''
    ORDER BY b.epoch, b.xid, b.seq
    LIMIT 1
) first
WHERE NOT EXISTS (
        SELECT FROM event_handler_failures e
        WHERE e.shard = sqlc.arg(shard) AND e.handler = sqlc.arg(handler) AND e.tenant_id = sqlc.arg(tenant_id)
            AND e.ordering_key = sqlc.arg(ordering_key) AND e.state = 'failed' AND e.replay_id = ''
            AND (e.epoch, e.xid, e.seq) < (first.epoch, first.xid, first.seq)
    )
    AND f.tenant_id = sqlc.arg(tenant_id) AND f.handler = sqlc.arg(handler) AND f.shard = sqlc.arg(shard)
    AND f.epoch = first.epoch AND f.xid = first.xid AND f.seq = first.seq;

-- name: FindEventAt :one
SELECT * FROM billing_events
WHERE shard = sqlc.arg(shard) AND epoch = sqlc.arg(epoch) AND xid = sqlc.arg(xid) AND seq = sqlc.arg(seq);

-- name: ListEventsBetween :many
-- A stretch of the log, for a consumer that has a gap: after the one position, up to the other.
SELECT * FROM billing_events b
WHERE b.shard = sqlc.arg(shard)
    AND (b.epoch, b.xid, b.seq) > (sqlc.arg(after_epoch)::int, sqlc.arg(after_xid)::bigint, sqlc.arg(after_seq)::bigint)
    AND (b.epoch, b.xid, b.seq) <= (sqlc.arg(to_epoch)::int, sqlc.arg(to_xid)::bigint, sqlc.arg(to_seq)::bigint)
ORDER BY b.epoch, b.xid, b.seq
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListLaggingShards :many
-- Shards that were dispatched further than some handler has come: how far the last handler is, and the cursor
-- to catch up to.
SELECT s.shard, s.epoch, s.xid, s.seq, w.epoch AS done_epoch, w.xid AS done_xid, w.seq AS done_seq
FROM outbox_shards s
CROSS JOIN LATERAL (
    SELECT m.epoch, m.xid, m.seq FROM event_watermarks m
    WHERE m.shard = s.shard AND m.handler = ANY (sqlc.arg(handlers)::text[])
    ORDER BY m.epoch, m.xid, m.seq
    LIMIT 1
) w
WHERE (w.epoch, w.xid, w.seq) < (s.epoch, s.xid, s.seq);

-- name: GetTenantPending :one
-- nullable: none
-- Is any event of the tenant still on its way: above the lowest watermark of its shard, to be tried again, or to
-- be handled again for a replay?
SELECT (
    EXISTS (
        SELECT FROM event_handler_failures f WHERE f.tenant_id = sqlc.arg(tenant_id) AND f.state IN ('failed', 'blocked')
    )
    OR EXISTS (
        SELECT FROM outbox_shards s
        LEFT JOIN (
            SELECT DISTINCT ON (w.shard) w.shard, w.epoch, w.xid, w.seq FROM event_watermarks w
            ORDER BY w.shard, w.epoch, w.xid, w.seq
        ) low ON low.shard = s.shard
        -- Per shard, from its watermark on: as a plain join it reads all events that the tenant ever had.
        CROSS JOIN LATERAL (
            SELECT FROM billing_events e
            WHERE e.shard = s.shard
                AND (e.epoch, e.xid, e.seq) > (coalesce(low.epoch, 0), coalesce(low.xid, 0), coalesce(low.seq, 0))
                AND e.tenant_id = sqlc.arg(tenant_id)
            LIMIT 1
        ) unhandled
    )
)::boolean AS pending;
