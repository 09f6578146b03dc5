-- name: FindReplay :one
SELECT * FROM replays WHERE tenant_id = sqlc.arg(tenant_id) AND request_id = sqlc.arg(request_id);

-- name: ClaimReplay :one
-- To be driven a step further. SKIP LOCKED: when several follow one replay, one of them drives at a time.
SELECT * FROM replays
WHERE tenant_id = sqlc.arg(tenant_id) AND request_id = sqlc.arg(request_id)
FOR UPDATE SKIP LOCKED;

-- name: TryInsertReplay :one
-- Nothing when the request id has a replay already.
INSERT INTO replays (
    tenant_id, id, request_id, filter, handlers, reason, actor, state, epoch, xid, seq, to_epoch, to_xid, to_seq,
    matched, remaining, next_at, started_at
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(request_id), sqlc.arg(filter), sqlc.arg(handlers), sqlc.arg(reason),
    sqlc.arg(actor), 'running', sqlc.arg(epoch), sqlc.arg(xid), sqlc.arg(seq), sqlc.arg(to_epoch), sqlc.arg(to_xid),
    sqlc.arg(to_seq), sqlc.arg(matched)::bigint, sqlc.arg(matched)::bigint, sqlc.arg(now)::timestamptz,
    sqlc.arg(now)::timestamptz
)
ON CONFLICT ON CONSTRAINT replays_once DO NOTHING
RETURNING *;

-- name: UpdateReplayCursor :one
-- Some of its events were looked at.
UPDATE replays
SET epoch = sqlc.arg(epoch), xid = sqlc.arg(xid), seq = sqlc.arg(seq), next_at = sqlc.arg(next_at),
    remaining = remaining - sqlc.arg(events)::bigint,
    enqueued = enqueued + sqlc.arg(enqueued)::bigint,
    skipped_on_the_way = skipped_on_the_way + sqlc.arg(on_the_way)::bigint,
    skipped_retrying = skipped_retrying + sqlc.arg(retrying)::bigint,
    skipped_discarded = skipped_discarded + sqlc.arg(discarded)::bigint
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING *;

-- name: UpdateReplayFinished :one
UPDATE replays
SET state = 'finished', done = sqlc.arg(done), failed = sqlc.arg(failed), finished_at = sqlc.arg(finished_at)::timestamptz
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING *;

-- name: GetReplayRuns :one
-- Of a replay: the runs not yet tried, those that failed and are tried again, and those given up, whoever began
-- them again since.
SELECT
    (count(*) FILTER (WHERE f.state = 'failed' AND f.attempts = 0))::bigint AS waiting,
    (count(*) FILTER (WHERE f.state = 'failed' AND f.attempts > 0))::bigint AS retrying,
    ((count(*) FILTER (WHERE f.state IN ('dead_letter', 'discarded'))) + (
        SELECT count(*) FROM replay_runs_taken t
        WHERE t.tenant_id = sqlc.arg(tenant_id) AND t.replay_id = sqlc.arg(replay_id)::text
    ))::bigint AS failed
FROM event_handler_failures f
WHERE f.tenant_id = sqlc.arg(tenant_id) AND f.replay_id = sqlc.arg(replay_id)::text AND f.replay_id <> '';

-- name: GetStretchOfEvents :one
-- nullable: none
-- The part of the tenant's log in which all of these lie, up to its end: `found` is false when there are none.
-- By index, where only looking through the log finds subjects and times.
SELECT
    (count(*) > 0)::boolean AS found,
    coalesce((array_agg(b.epoch ORDER BY b.epoch, b.xid, b.seq))[1], 0)::int AS from_epoch,
    coalesce((array_agg(b.xid ORDER BY b.epoch, b.xid, b.seq))[1], 0)::bigint AS from_xid,
    coalesce((array_agg(b.seq ORDER BY b.epoch, b.xid, b.seq))[1], 0)::bigint AS from_seq,
    coalesce((array_agg(b.epoch ORDER BY b.epoch DESC, b.xid DESC, b.seq DESC))[1], 0)::int AS to_epoch,
    coalesce((array_agg(b.xid ORDER BY b.epoch DESC, b.xid DESC, b.seq DESC))[1], 0)::bigint AS to_xid,
    coalesce((array_agg(b.seq ORDER BY b.epoch DESC, b.xid DESC, b.seq DESC))[1], 0)::bigint AS to_seq
FROM billing_events b
WHERE b.tenant_id = sqlc.arg(tenant_id)
    AND b.id = ANY (sqlc.arg(ids)::text[])
    AND (b.epoch, b.xid, b.seq) <= (sqlc.arg(end_epoch)::int, sqlc.arg(end_xid)::bigint, sqlc.arg(end_seq)::bigint);

-- name: GetStretchOfCorrelation :one
-- nullable: none
-- The same for all that share a correlation id.
SELECT
    (count(*) > 0)::boolean AS found,
    coalesce((array_agg(b.epoch ORDER BY b.epoch, b.xid, b.seq))[1], 0)::int AS from_epoch,
    coalesce((array_agg(b.xid ORDER BY b.epoch, b.xid, b.seq))[1], 0)::bigint AS from_xid,
    coalesce((array_agg(b.seq ORDER BY b.epoch, b.xid, b.seq))[1], 0)::bigint AS from_seq,
    coalesce((array_agg(b.epoch ORDER BY b.epoch DESC, b.xid DESC, b.seq DESC))[1], 0)::int AS to_epoch,
    coalesce((array_agg(b.xid ORDER BY b.epoch DESC, b.xid DESC, b.seq DESC))[1], 0)::bigint AS to_xid,
    coalesce((array_agg(b.seq ORDER BY b.epoch DESC, b.xid DESC, b.seq DESC))[1], 0)::bigint AS to_seq
FROM billing_events b
WHERE b.tenant_id = sqlc.arg(tenant_id) AND b.correlation_id = sqlc.arg(correlation_id)
    AND (b.epoch, b.xid, b.seq) <= (sqlc.arg(end_epoch)::int, sqlc.arg(end_xid)::bigint, sqlc.arg(end_seq)::bigint);

-- name: FindStretchEnd :one
-- So many events of the tenant further in its log; nothing when fewer are left.
SELECT b.epoch, b.xid, b.seq FROM billing_events b
WHERE b.tenant_id = sqlc.arg(tenant_id)
    AND (b.epoch, b.xid, b.seq) > (sqlc.arg(after_epoch)::int, sqlc.arg(after_xid)::bigint, sqlc.arg(after_seq)::bigint)
    AND (b.epoch, b.xid, b.seq) <= (sqlc.arg(to_epoch)::int, sqlc.arg(to_xid)::bigint, sqlc.arg(to_seq)::bigint)
ORDER BY b.epoch, b.xid, b.seq
OFFSET sqlc.arg(events)::int - 1
LIMIT 1;

-- name: ListMatchingEvents :many
-- In a stretch of the tenant's log, in its order; '' and empty arrays match all.
SELECT b.shard, b.epoch, b.xid, b.seq, b.id, b.subject, b.ordering_key FROM billing_events b
WHERE b.tenant_id = sqlc.arg(tenant_id)
    AND (b.epoch, b.xid, b.seq) > (sqlc.arg(after_epoch)::int, sqlc.arg(after_xid)::bigint, sqlc.arg(after_seq)::bigint)
    AND (b.epoch, b.xid, b.seq) <= (sqlc.arg(to_epoch)::int, sqlc.arg(to_xid)::bigint, sqlc.arg(to_seq)::bigint)
    AND (cardinality(sqlc.arg(ids)::text[]) = 0 OR b.id = ANY (sqlc.arg(ids)::text[]))
    AND (sqlc.arg(subject)::text = '' OR b.subject = sqlc.arg(subject)::text)
    AND (sqlc.arg(subject_prefix)::text = '' OR starts_with(b.subject, sqlc.arg(subject_prefix)::text))
    AND (cardinality(sqlc.arg(subjects)::text[]) = 0 OR b.subject = ANY (sqlc.arg(subjects)::text[]))
    AND (sqlc.arg(correlation_id)::text = '' OR b.correlation_id = sqlc.arg(correlation_id)::text)
    AND b.created_at >= sqlc.arg(since)::timestamptz AND b.created_at < sqlc.arg(until)::timestamptz
ORDER BY b.epoch, b.xid, b.seq
LIMIT sqlc.arg(limit_rows)::int;

-- name: CountMatchingEvents :many
-- The same, counted by subject: how many there are, how many are still on their way to one of the handlers, and
-- how many are dead letters of one.
SELECT
    b.subject,
    count(*)::bigint AS events,
    (count(*) FILTER (WHERE EXISTS (
        SELECT FROM event_watermarks w
        WHERE w.shard = b.shard AND w.handler = ANY (sqlc.arg(handlers)::text[])
            AND (w.epoch, w.xid, w.seq) < (b.epoch, b.xid, b.seq)
    )))::bigint AS on_the_way,
    (count(*) FILTER (WHERE EXISTS (
        SELECT FROM event_handler_failures f
        WHERE f.tenant_id = b.tenant_id AND f.event_id = b.id AND f.state = 'dead_letter'
            AND f.handler = ANY (sqlc.arg(handlers)::text[])
    )))::bigint AS dead_letters
FROM billing_events b
WHERE b.tenant_id = sqlc.arg(tenant_id)
    AND (b.epoch, b.xid, b.seq) > (sqlc.arg(after_epoch)::int, sqlc.arg(after_xid)::bigint, sqlc.arg(after_seq)::bigint)
    AND (b.epoch, b.xid, b.seq) <= (sqlc.arg(to_epoch)::int, sqlc.arg(to_xid)::bigint, sqlc.arg(to_seq)::bigint)
    AND (cardinality(sqlc.arg(ids)::text[]) = 0 OR b.id = ANY (sqlc.arg(ids)::text[]))
    AND (sqlc.arg(subject)::text = '' OR b.subject = sqlc.arg(subject)::text)
    AND (sqlc.arg(subject_prefix)::text = '' OR starts_with(b.subject, sqlc.arg(subject_prefix)::text))
    AND (cardinality(sqlc.arg(subjects)::text[]) = 0 OR b.subject = ANY (sqlc.arg(subjects)::text[]))
    AND (sqlc.arg(correlation_id)::text = '' OR b.correlation_id = sqlc.arg(correlation_id)::text)
    AND b.created_at >= sqlc.arg(since)::timestamptz AND b.created_at < sqlc.arg(until)::timestamptz
GROUP BY b.subject
ORDER BY b.subject;

-- name: ListRunStandings :many
-- Where (event, handler) pairs stand, in the order of the arrays: on the way, in the state of a failure, or handled.
SELECT
    u.place::int AS place,
    (CASE
        WHEN w.handler IS NULL OR (w.epoch, w.xid, w.seq) < (u.epoch::int, u.xid::bigint, u.seq::bigint) THEN 'on_the_way'
        WHEN f.state IS NOT NULL THEN f.state
        ELSE 'handled'
    END)::text AS standing
FROM ROWS FROM (
    unnest(sqlc.arg(handlers)::text[]), unnest(sqlc.arg(shards)::int[]), unnest(sqlc.arg(epochs)::int[]),
    unnest(sqlc.arg(xids)::bigint[]), unnest(sqlc.arg(seqs)::bigint[])
) WITH ORDINALITY AS u (handler, shard, epoch, xid, seq, place)
LEFT JOIN event_watermarks w ON w.handler = u.handler AND w.shard = u.shard
LEFT JOIN event_handler_failures f
    ON f.tenant_id = sqlc.arg(tenant_id) AND f.handler = u.handler AND f.shard = u.shard AND f.epoch = u.epoch
    AND f.xid = u.xid AND f.seq = u.seq
ORDER BY u.place;

-- name: InsertReplayRuns :execrows
-- Puts handled events to their handlers again. What someone else put there meanwhile stays as it is.
INSERT INTO event_handler_failures (
    tenant_id, handler, shard, epoch, xid, seq, event_id, ordering_key, state, next_attempt_at, created_at, replay_id,
    handled
)
SELECT
    sqlc.arg(tenant_id)::text, u.handler, u.shard, u.epoch, u.xid, u.seq, u.event_id, u.ordering_key, 'failed',
    sqlc.arg(now)::timestamptz, sqlc.arg(now)::timestamptz, sqlc.arg(replay_id)::text, true
FROM ROWS FROM (
    unnest(sqlc.arg(handlers)::text[]), unnest(sqlc.arg(shards)::int[]), unnest(sqlc.arg(epochs)::int[]),
    unnest(sqlc.arg(xids)::bigint[]), unnest(sqlc.arg(seqs)::bigint[]), unnest(sqlc.arg(event_ids)::text[]),
    unnest(sqlc.arg(ordering_keys)::text[])
) AS u (handler, shard, epoch, xid, seq, event_id, ordering_key)
ON CONFLICT DO NOTHING;

-- name: ReviveDeadLetters :execrows
-- Puts events that handlers gave up to them again, from the first attempt on. Of one that another replay gave up
-- and that still runs, it is kept that it failed there. In one order everywhere, so that two replays never wait
-- for each other.
WITH dead AS (
    SELECT f.tenant_id, f.handler, f.shard, f.epoch, f.xid, f.seq, f.replay_id
    FROM ROWS FROM (
        unnest(sqlc.arg(handlers)::text[]), unnest(sqlc.arg(shards)::int[]), unnest(sqlc.arg(epochs)::int[]),
        unnest(sqlc.arg(xids)::bigint[]), unnest(sqlc.arg(seqs)::bigint[])
    ) AS u (handler, shard, epoch, xid, seq)
    JOIN event_handler_failures f
        ON f.tenant_id = sqlc.arg(tenant_id)::text AND f.handler = u.handler AND f.shard = u.shard
        AND f.epoch = u.epoch AND f.xid = u.xid AND f.seq = u.seq AND f.state = 'dead_letter'
    ORDER BY f.handler, f.shard, f.epoch, f.xid, f.seq
    FOR UPDATE OF f
), taken AS (
    INSERT INTO replay_runs_taken (tenant_id, replay_id, handler, shard, epoch, xid, seq)
    SELECT d.tenant_id, d.replay_id, d.handler, d.shard, d.epoch, d.xid, d.seq
    FROM dead d
    JOIN replays r ON r.tenant_id = d.tenant_id AND r.id = d.replay_id AND r.state = 'running'
)
UPDATE event_handler_failures f
SET state = 'failed', attempts = 0, next_attempt_at = sqlc.arg(now)::timestamptz, replay_id = sqlc.arg(replay_id)::text
FROM dead d
WHERE f.tenant_id = d.tenant_id AND f.handler = d.handler AND f.shard = d.shard AND f.epoch = d.epoch
    AND f.xid = d.xid AND f.seq = d.seq;

-- name: UpsertEventReplays :exec
INSERT INTO event_replays (tenant_id, event_id, last_replayed_at)
SELECT sqlc.arg(tenant_id)::text, u.event_id, sqlc.arg(now)::timestamptz
FROM unnest(sqlc.arg(event_ids)::text[]) AS u (event_id)
ON CONFLICT (tenant_id, event_id) DO UPDATE
SET last_replayed_at = greatest(event_replays.last_replayed_at, EXCLUDED.last_replayed_at);

-- name: FindLastReplay :one
SELECT last_replayed_at FROM event_replays WHERE tenant_id = sqlc.arg(tenant_id) AND event_id = sqlc.arg(event_id);

-- name: InsertAuditEntry :exec
INSERT INTO audit_entries (
    tenant_id, id, occurred_at, actor, action, request_id, correlation_id, trace_id, ip, user_agent, reason
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(occurred_at), sqlc.arg(actor), sqlc.arg(action), sqlc.arg(request_id),
    sqlc.arg(correlation_id), sqlc.arg(trace_id), sqlc.arg(ip), sqlc.arg(user_agent), sqlc.arg(reason)
);
