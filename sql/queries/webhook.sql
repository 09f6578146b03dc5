-- name: InsertWebhook :one
INSERT INTO webhooks (tenant_id, id, url, filters, secret_ciphertext, created_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(url), sqlc.arg(filters), sqlc.arg(secret_ciphertext),
    sqlc.arg(created_at)
)
RETURNING *;

-- name: CountWebhooks :one
SELECT count(*)::bigint AS webhooks FROM webhooks WHERE tenant_id = sqlc.arg(tenant_id) AND deleted_at IS NULL;

-- name: FindWebhook :one
SELECT * FROM webhooks WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND deleted_at IS NULL;

-- name: ListWebhooks :many
-- Newest first.
SELECT * FROM webhooks
WHERE tenant_id = sqlc.arg(tenant_id) AND deleted_at IS NULL
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkWebhookUpdated :one
UPDATE webhooks
SET url = sqlc.arg(url), filters = sqlc.arg(filters), enabled = sqlc.arg(enabled), version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version) AND deleted_at IS NULL
RETURNING *;

-- name: MarkWebhookDeleted :one
UPDATE webhooks
SET deleted_at = sqlc.arg(deleted_at)::timestamptz, secret_ciphertext = '', version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND deleted_at IS NULL
RETURNING *;

-- name: MarkWebhookGone :one
-- Its receiver answered that it is gone for good.
UPDATE webhooks SET enabled = false, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND enabled AND deleted_at IS NULL
RETURNING id, version;

-- name: InsertDeliveries :exec
-- One event to every endpoint that wants it; `filters` are all that match its subject. The id begins with the
-- event's time and derives from event and endpoint, so that handling the event again makes the same one.
INSERT INTO webhook_deliveries (tenant_id, id, webhook_id, event_id, subject, state, next_attempt_at, created_at)
SELECT
    w.tenant_id,
    'whd_' || substr(sqlc.arg(event_id)::text, 5, 10)
        || substr(encode(sha256(convert_to(w.id || sqlc.arg(event_id)::text, 'UTF8')), 'hex'), 1, 16),
    w.id, sqlc.arg(event_id)::text, sqlc.arg(subject)::text, 'pending', sqlc.arg(now)::timestamptz,
    sqlc.arg(now)::timestamptz
FROM webhooks AS w
WHERE w.tenant_id = sqlc.arg(tenant_id)::text AND w.enabled AND w.deleted_at IS NULL
    AND w.filters && sqlc.arg(filters)::text[]
ON CONFLICT ON CONSTRAINT webhook_deliveries_once DO NOTHING;

-- name: ClaimDeliveries :many
-- Across tenants: what is due, longest due first. SKIP LOCKED, so that workers take different ones. Whoever
-- does not record an outcome before `lease_until` has died, and another claims the delivery again.
WITH due AS (
    SELECT d.tenant_id, d.id FROM webhook_deliveries AS d
    WHERE d.state = 'pending' AND d.next_attempt_at <= sqlc.arg(now)::timestamptz
    ORDER BY d.next_attempt_at
    LIMIT sqlc.arg(limit_rows)::int
    FOR UPDATE SKIP LOCKED
)
UPDATE webhook_deliveries AS c
SET attempts = c.attempts + 1, next_attempt_at = sqlc.arg(lease_until)::timestamptz
FROM due
WHERE c.tenant_id = due.tenant_id AND c.id = due.id
RETURNING c.tenant_id, c.id, c.webhook_id, c.event_id, c.attempts, c.attempts_before;

-- name: ListClaimedWebhooks :many
-- The endpoints of claimed deliveries, deleted ones too.
SELECT * FROM webhooks WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: ListClaimedEvents :many
-- The events of claimed deliveries. A replay repeats an event's id: any of its rows will do.
SELECT DISTINCT ON (id) * FROM billing_events
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[])
ORDER BY id;

-- name: MarkDeliveriesAttempted :many
-- Only the latest attempt decides: the outcome of one whose lease ran out comes too late. Returns the
-- deliveries that took their outcome.
UPDATE webhook_deliveries AS d
SET state = u.state, next_attempt_at = u.next_attempt_at, last_error = u.error,
    delivered_at = (CASE WHEN u.state = 'delivered' THEN sqlc.arg(now)::timestamptz END)
FROM ROWS FROM (
    unnest(sqlc.arg(ids)::text[]), unnest(sqlc.arg(attempts)::int[]), unnest(sqlc.arg(states)::text[]),
    unnest(sqlc.arg(next_attempts_at)::timestamptz[]), unnest(sqlc.arg(errors)::text[])
) AS u (id, attempt, state, next_attempt_at, error)
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.id = u.id AND d.attempts = u.attempt AND d.state = 'pending'
RETURNING d.id;

-- name: InsertAttempts :exec
INSERT INTO webhook_delivery_attempts (
    tenant_id, delivery_id, attempt, started_at, duration_ms, status_code, error
)
SELECT
    sqlc.arg(tenant_id)::text, u.delivery_id, u.attempt, u.started_at, u.duration_ms, u.status_code, u.error
FROM ROWS FROM (
    unnest(sqlc.arg(delivery_ids)::text[]), unnest(sqlc.arg(attempts)::int[]),
    unnest(sqlc.arg(started_at)::timestamptz[]), unnest(sqlc.arg(durations_ms)::int[]),
    unnest(sqlc.arg(status_codes)::int[]), unnest(sqlc.arg(errors)::text[])
) AS u (delivery_id, attempt, started_at, duration_ms, status_code, error);

-- name: InsertDeadLetters :exec
INSERT INTO webhook_dlq (tenant_id, delivery_id, reason, dead_at)
SELECT sqlc.arg(tenant_id)::text, u.delivery_id, u.reason, sqlc.arg(dead_at)::timestamptz
FROM ROWS FROM (
    unnest(sqlc.arg(delivery_ids)::text[]), unnest(sqlc.arg(reasons)::text[])
) AS u (delivery_id, reason);

-- name: FindDelivery :one
SELECT * FROM webhook_deliveries WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: MarkDeliverySentAgain :one
-- Its tries begin anew, and it leaves the dead letter queue.
WITH revived AS (
    DELETE FROM webhook_dlq AS q
    WHERE q.tenant_id = sqlc.arg(tenant_id) AND q.delivery_id = sqlc.arg(id)
)
UPDATE webhook_deliveries AS d
SET state = 'pending', attempts_before = d.attempts, next_attempt_at = sqlc.arg(now), delivered_at = NULL,
    last_error = ''
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.id = sqlc.arg(id) AND d.state <> 'pending'
RETURNING d.*;

-- name: ListDeliveries :many
-- Newest event first; '' means any.
SELECT * FROM webhook_deliveries
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(webhook_id)::text = '' OR webhook_id = sqlc.arg(webhook_id)::text)
    AND (sqlc.arg(event_id)::text = '' OR event_id = sqlc.arg(event_id)::text)
    AND (sqlc.arg(state)::text = '' OR state = sqlc.arg(state)::text)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListAttempts :many
-- The latest, oldest of them first.
SELECT * FROM (
    SELECT * FROM webhook_delivery_attempts AS a
    WHERE a.tenant_id = sqlc.arg(tenant_id) AND a.delivery_id = sqlc.arg(delivery_id)
    ORDER BY a.attempt DESC
    LIMIT sqlc.arg(limit_rows)::int
) AS latest
ORDER BY latest.attempt;

-- name: CountPendingDeliveries :one
-- Across tenants, for the metric.
SELECT count(*)::bigint AS deliveries FROM webhook_deliveries WHERE state = 'pending';
