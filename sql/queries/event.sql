-- name: FindEvent :one
SELECT * FROM billing_events
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
LIMIT 1;

-- name: ListEvents :many
-- Newest first; '' means any. `subject_prefix` is a subject up to and including its last dot. The last may be the
-- one whose payload goes beyond `limit_bytes`: those after it are not read.
SELECT
    e.shard, e.epoch, e.xid, e.seq, e.id, e.subject, e.tenant_id, e.resource_id, e.resource_version, e.ordering_key,
    e.payload_type, e.payload, e.correlation_id, e.causation_id, e.actor, e.traceparent, e.created_at
FROM (
    SELECT b.*, (sum(octet_length(b.payload)) OVER (ORDER BY b.id DESC ROWS UNBOUNDED PRECEDING)) AS read_bytes
    FROM billing_events b
    WHERE b.tenant_id = sqlc.arg(tenant_id) AND b.id >= sqlc.arg(oldest)::text
        AND (sqlc.arg(subject)::text = '' OR b.subject = sqlc.arg(subject)::text)
        AND (sqlc.arg(subject_prefix)::text = '' OR starts_with(b.subject, sqlc.arg(subject_prefix)::text))
        AND (sqlc.arg(resource_id)::text = '' OR b.resource_id = sqlc.arg(resource_id)::text)
        AND (sqlc.arg(correlation_id)::text = '' OR b.correlation_id = sqlc.arg(correlation_id)::text)
        AND (sqlc.arg(after)::text = '' OR b.id < sqlc.arg(after)::text)
    ORDER BY b.id DESC
    LIMIT sqlc.arg(limit_rows)::int
) e
WHERE e.read_bytes - octet_length(e.payload) <= sqlc.arg(limit_bytes)::bigint
ORDER BY e.id DESC;

-- name: FindOldestInStretch :one
-- The last of so many of the tenant's events, newest first; nothing when there are fewer.
SELECT id FROM billing_events
WHERE tenant_id = sqlc.arg(tenant_id) AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
OFFSET sqlc.arg(events)::int - 1
LIMIT 1;

-- name: ListCorrelatedEvents :many
-- Oldest first, in the order they were written; bounded in the same way.
SELECT
    e.shard, e.epoch, e.xid, e.seq, e.id, e.subject, e.tenant_id, e.resource_id, e.resource_version, e.ordering_key,
    e.payload_type, e.payload, e.correlation_id, e.causation_id, e.actor, e.traceparent, e.created_at
FROM (
    SELECT
        b.*,
        (sum(octet_length(b.payload)) OVER (
            ORDER BY b.created_at, b.xid, b.seq ROWS UNBOUNDED PRECEDING
        )) AS read_bytes
    FROM billing_events b
    WHERE b.tenant_id = sqlc.arg(tenant_id) AND b.correlation_id = sqlc.arg(correlation_id)
    ORDER BY b.created_at, b.xid, b.seq
    LIMIT sqlc.arg(limit_rows)::int
) e
WHERE e.read_bytes - octet_length(e.payload) <= sqlc.arg(limit_bytes)::bigint
ORDER BY e.created_at, e.xid, e.seq;

-- name: ListEventStates :many
-- How far some events have come.
SELECT id, state FROM billing_event_states
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: ListHandlerFailures :many
-- Which handlers have not managed some events.
SELECT event_id, handler, attempts, error, next_attempt_at, state, replay_id FROM event_handler_failures
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

-- name: GetLogEnd :one
-- Up to where the log is complete: what a running transaction still writes comes after it.
SELECT
    log_epoch()::int AS epoch,
    (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::bigint AS xid;

-- name: ListNewEvents :many
-- What came to the log after a position per tenant, at most a quota each, in order; nothing that a running
-- transaction could still precede. For the reader that serves those who watch: it knows the tenants.
SELECT e.*
FROM ROWS FROM (
    unnest(sqlc.arg(tenant_ids)::text[]), unnest(sqlc.arg(epochs)::int[]), unnest(sqlc.arg(xids)::bigint[]),
    unnest(sqlc.arg(seqs)::bigint[])
) AS c (tenant_id, epoch, xid, seq)
CROSS JOIN LATERAL (
    SELECT * FROM billing_events b
    WHERE b.tenant_id = c.tenant_id AND (b.epoch, b.xid, b.seq) > (c.epoch::int, c.xid::bigint, c.seq::bigint)
        AND (b.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint OR b.epoch < log_epoch())
    ORDER BY b.epoch, b.xid, b.seq
    LIMIT sqlc.arg(quota)::int
) e;

-- name: ListTenantEventsBetween :many
-- A stretch of the tenant's log, after the one position, up to the other, below which nothing more is written.
SELECT * FROM billing_events b
WHERE b.tenant_id = sqlc.arg(tenant_id)
    AND (b.epoch, b.xid, b.seq) > (sqlc.arg(after_epoch)::int, sqlc.arg(after_xid)::bigint, sqlc.arg(after_seq)::bigint)
    AND (b.epoch, b.xid, b.seq) <= (sqlc.arg(to_epoch)::int, sqlc.arg(to_xid)::bigint, sqlc.arg(to_seq)::bigint)
ORDER BY b.epoch, b.xid, b.seq
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListWatermarksOfShards :many
-- How far the handlers are.
SELECT handler, shard, epoch, xid, seq FROM event_watermarks
WHERE shard = ANY (sqlc.arg(shards)::int[]) AND handler = ANY (sqlc.arg(handlers)::text[]);

-- name: ListEventBatches :many
-- When some events were handled: each with the batch it was in, and with the tries of its own.
SELECT e.id AS event_id, b.handler, b.started_at, b.duration_us, b.worker
FROM billing_events e
JOIN event_batches b
    ON b.shard = e.shard AND b.epoch = e.epoch AND b.xid = e.xid AND b.seq = e.seq AND b.handler <> ''
WHERE e.tenant_id = sqlc.arg(tenant_id) AND e.id = ANY (sqlc.arg(ids)::text[])
UNION ALL
SELECT e.id AS event_id, b.handler, b.started_at, b.duration_us, b.worker
FROM billing_events e
CROSS JOIN LATERAL (
    SELECT o.handler, o.started_at, o.duration_us, o.worker, o.after_epoch, o.after_xid, o.after_seq
    FROM event_batches o
    WHERE o.shard = e.shard AND (o.epoch, o.xid, o.seq) >= (e.epoch, e.xid, e.seq) AND o.handler = ''
    ORDER BY o.epoch, o.xid, o.seq
    LIMIT 1
) b
WHERE e.tenant_id = sqlc.arg(tenant_id) AND e.id = ANY (sqlc.arg(ids)::text[])
    AND (b.after_epoch, b.after_xid, b.after_seq) < (e.epoch, e.xid, e.seq);

-- name: ListWebhookOutcomes :many
-- What has become of some events at the tenant's endpoints.
SELECT
    d.event_id, d.webhook_id, d.id AS delivery_id, d.state, d.attempts, d.last_error,
    coalesce((
        SELECT a.status_code FROM webhook_delivery_attempts a
        WHERE a.tenant_id = d.tenant_id AND a.delivery_id = d.id
        ORDER BY a.attempt DESC
        LIMIT 1
    ), 0)::int AS last_status_code
FROM webhook_deliveries d
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.event_id = ANY (sqlc.arg(ids)::text[])
ORDER BY d.event_id, d.webhook_id, d.id;
