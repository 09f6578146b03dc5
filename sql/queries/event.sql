-- name: FindEvent :one
-- The first delivery of the event: replays repeat its id.
SELECT e.* FROM billing_events e
WHERE e.tenant_id = sqlc.arg(tenant_id) AND e.id = sqlc.arg(id)
ORDER BY e.epoch, e.xid, e.seq
LIMIT 1;

-- name: ListEvents :many
-- Newest first; '' means any. `subject_prefix` is a subject up to and including its last dot.
SELECT * FROM billing_events
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(subject)::text = '' OR subject = sqlc.arg(subject)::text)
    AND (sqlc.arg(subject_prefix)::text = '' OR starts_with(subject, sqlc.arg(subject_prefix)::text))
    AND (sqlc.arg(resource_id)::text = '' OR resource_id = sqlc.arg(resource_id)::text)
    AND (sqlc.arg(correlation_id)::text = '' OR correlation_id = sqlc.arg(correlation_id)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListCorrelatedEvents :many
-- Oldest first, in the order they were written.
SELECT * FROM billing_events
WHERE tenant_id = sqlc.arg(tenant_id) AND correlation_id = sqlc.arg(correlation_id)
ORDER BY created_at, xid, seq
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListEventStates :many
-- How far some events have come.
SELECT id, state FROM billing_event_states
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: ListHandlerFailures :many
-- Which handlers have not managed some events.
SELECT event_id, handler, attempts, error, next_attempt_at, state FROM event_handler_failures
WHERE tenant_id = sqlc.arg(tenant_id) AND event_id = ANY (sqlc.arg(ids)::text[])
ORDER BY event_id, handler;

-- name: GetNextVersion :one
-- Of a resource that only its events know; the caller holds its lock. The newest thousand are enough, however
-- many there are: ids are ordered by time, but the clocks of two servers may differ a little.
SELECT (coalesce(max(e.resource_version), 0) + 1)::bigint AS version
FROM (
    SELECT b.resource_version FROM billing_events b
    WHERE b.tenant_id = sqlc.arg(tenant_id) AND b.resource_id = sqlc.arg(resource_id)
    ORDER BY b.id DESC
    LIMIT 1000
) e;
