-- name: ListEventDeadLetters :many
-- Newest first; '' and empty arrays match all.
SELECT
    d.stage, d.event_id, d.handler, b.subject, b.resource_id, b.correlation_id, d.state, d.attempts, d.error,
    d.created_at, d.discarded_by, d.discard_reason
FROM event_dead_letters d
JOIN billing_events b ON b.shard = d.shard AND b.epoch = d.epoch AND b.xid = d.xid AND b.seq = d.seq
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.state = sqlc.arg(state)::text
    AND (sqlc.arg(stage)::text = '' OR d.stage = sqlc.arg(stage)::text)
    AND (sqlc.arg(handler)::text = '' OR d.handler = sqlc.arg(handler)::text)
    AND (sqlc.arg(subject)::text = '' OR b.subject = sqlc.arg(subject)::text)
    AND (sqlc.arg(subject_prefix)::text = '' OR starts_with(b.subject, sqlc.arg(subject_prefix)::text))
    AND (cardinality(sqlc.arg(event_ids)::text[]) = 0 OR d.event_id = ANY (sqlc.arg(event_ids)::text[]))
    AND (sqlc.arg(after_event)::text = ''
        OR (d.event_id, d.handler) < (sqlc.arg(after_event)::text, sqlc.arg(after_handler)::text))
ORDER BY d.event_id DESC, d.handler DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: FindEventDeadLetter :one
-- By event and handler ('' at the bus), waiting or discarded.
SELECT
    d.stage, d.event_id, d.handler, b.subject, b.resource_id, b.correlation_id, d.state, d.attempts, d.error,
    d.created_at, d.discarded_by, d.discard_reason
FROM event_dead_letters d
JOIN billing_events b ON b.shard = d.shard AND b.epoch = d.epoch AND b.xid = d.xid AND b.seq = d.seq
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.event_id = sqlc.arg(event_id)::text AND d.handler = sqlc.arg(handler)::text;

-- name: MarkDispatchDeadLetters :execrows
-- Moves the oldest of them on: to 'failed', to be tried again from the first attempt on, or to 'discarded'.
UPDATE outbox_failures f
SET state = sqlc.arg(state)::text,
    attempts = (CASE WHEN sqlc.arg(state)::text = 'failed' THEN 0 ELSE f.attempts END),
    next_attempt_at = sqlc.arg(now)::timestamptz,
    discarded_by = sqlc.arg(discarded_by)::text,
    discard_reason = sqlc.arg(discard_reason)::text
WHERE f.tenant_id = sqlc.arg(tenant_id) AND (f.shard, f.epoch, f.xid, f.seq) IN (
    SELECT o.shard, o.epoch, o.xid, o.seq
    FROM outbox_failures o
    JOIN billing_events b ON b.shard = o.shard AND b.epoch = o.epoch AND b.xid = o.xid AND b.seq = o.seq
    WHERE o.tenant_id = sqlc.arg(tenant_id) AND o.state = 'dead_letter'
        AND (sqlc.arg(subject)::text = '' OR b.subject = sqlc.arg(subject)::text)
        AND (sqlc.arg(subject_prefix)::text = '' OR starts_with(b.subject, sqlc.arg(subject_prefix)::text))
        AND (cardinality(sqlc.arg(event_ids)::text[]) = 0 OR o.event_id = ANY (sqlc.arg(event_ids)::text[]))
    ORDER BY o.event_id
    LIMIT sqlc.arg(limit_rows)::int
    FOR UPDATE OF o
);

-- name: MarkHandlerDeadLetters :execrows
-- The same for those of handlers.
UPDATE event_handler_failures f
SET state = sqlc.arg(state)::text,
    attempts = (CASE WHEN sqlc.arg(state)::text = 'failed' THEN 0 ELSE f.attempts END),
    next_attempt_at = sqlc.arg(now)::timestamptz,
    discarded_by = sqlc.arg(discarded_by)::text,
    discard_reason = sqlc.arg(discard_reason)::text
WHERE f.tenant_id = sqlc.arg(tenant_id) AND (f.handler, f.shard, f.epoch, f.xid, f.seq) IN (
    SELECT o.handler, o.shard, o.epoch, o.xid, o.seq
    FROM event_handler_failures o
    JOIN billing_events b ON b.shard = o.shard AND b.epoch = o.epoch AND b.xid = o.xid AND b.seq = o.seq
    WHERE o.tenant_id = sqlc.arg(tenant_id) AND o.state = 'dead_letter'
        AND (sqlc.arg(handler)::text = '' OR o.handler = sqlc.arg(handler)::text)
        AND (sqlc.arg(subject)::text = '' OR b.subject = sqlc.arg(subject)::text)
        AND (sqlc.arg(subject_prefix)::text = '' OR starts_with(b.subject, sqlc.arg(subject_prefix)::text))
        AND (cardinality(sqlc.arg(event_ids)::text[]) = 0 OR o.event_id = ANY (sqlc.arg(event_ids)::text[]))
    ORDER BY o.event_id, o.handler
    LIMIT sqlc.arg(limit_rows)::int
    FOR UPDATE OF o
);
