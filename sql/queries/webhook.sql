-- name: InsertWebhook :one
INSERT INTO webhooks (tenant_id, id, url, filters, rate_per_second, secret_ciphertext, created_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(url), sqlc.arg(filters), sqlc.arg(rate_per_second),
    sqlc.arg(secret_ciphertext), sqlc.arg(created_at)
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
SET url = sqlc.arg(url), filters = sqlc.arg(filters), rate_per_second = sqlc.arg(rate_per_second),
    version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version) AND deleted_at IS NULL
RETURNING *;

-- name: MarkWebhookEnabled :one
-- Its failures begin to count anew.
UPDATE webhooks
SET enabled = true, disabled_reason = NULL, disabled_at = NULL, failing_since = NULL, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND NOT enabled AND deleted_at IS NULL
RETURNING *;

-- name: MarkWebhookDisabled :one
UPDATE webhooks
SET enabled = false, disabled_reason = sqlc.arg(disabled_reason)::text,
    disabled_at = sqlc.arg(disabled_at)::timestamptz, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND enabled AND deleted_at IS NULL
RETURNING *;

-- name: MarkWebhookFailed :one
-- Disabled for nothing but failures since `failing_since`: not if it answered well or was enabled meanwhile.
UPDATE webhooks
SET enabled = false, disabled_reason = 'failing', disabled_at = sqlc.arg(disabled_at)::timestamptz,
    version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND enabled AND deleted_at IS NULL
    AND failing_since = sqlc.arg(failing_since)::timestamptz
RETURNING *;

-- name: MarkWebhookFailing :exec
UPDATE webhooks SET failing_since = sqlc.arg(failing_since)::timestamptz
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND failing_since IS NULL;

-- name: MarkWebhookAnswering :exec
UPDATE webhooks SET failing_since = NULL
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND failing_since IS NOT NULL;

-- name: MarkWebhookSecretRotated :one
UPDATE webhooks
SET secret_ciphertext = sqlc.arg(secret_ciphertext)::bytea,
    previous_secret_ciphertext = sqlc.narg(previous_secret_ciphertext)::bytea,
    previous_secret_expires_at = sqlc.narg(previous_secret_expires_at)::timestamptz, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND deleted_at IS NULL
RETURNING *;

-- name: MarkWebhookDeleted :one
UPDATE webhooks
SET deleted_at = sqlc.arg(deleted_at)::timestamptz, secret_ciphertext = '', previous_secret_ciphertext = NULL,
    version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND deleted_at IS NULL
RETURNING *;

-- name: InsertDeliveries :exec
-- Events to every endpoint that wants them; `filters` has, for each event, all that match its subject, joined by
-- spaces. The id begins with the event's time and derives from event and endpoint, so that handling the event again
-- makes the same one.
INSERT INTO webhook_deliveries (tenant_id, id, webhook_id, event_id, subject, state, next_attempt_at, created_at)
SELECT
    w.tenant_id,
    'whd_' || substr(e.event_id, 5, 10)
        || substr(encode(sha256(convert_to(w.id || e.event_id, 'UTF8')), 'hex'), 1, 16),
    w.id, e.event_id, e.subject, 'pending', sqlc.arg(now)::timestamptz, sqlc.arg(now)::timestamptz
FROM webhooks AS w
JOIN ROWS FROM (
    unnest(sqlc.arg(event_ids)::text[]), unnest(sqlc.arg(subjects)::text[]), unnest(sqlc.arg(filters)::text[])
) WITH ORDINALITY AS e (event_id, subject, filters, place) ON w.filters && string_to_array(e.filters, ' ')
WHERE w.tenant_id = sqlc.arg(tenant_id)::text AND w.enabled AND w.deleted_at IS NULL
ORDER BY e.place
ON CONFLICT ON CONSTRAINT webhook_deliveries_once DO NOTHING;

-- name: InsertDelivery :one
-- To one endpoint, whatever its filters; urgent.
INSERT INTO webhook_deliveries (tenant_id, id, webhook_id, event_id, subject, state, next_attempt_at, created_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(webhook_id), sqlc.arg(event_id), sqlc.arg(subject), 'pending',
    to_timestamp(0), sqlc.arg(now)::timestamptz
)
RETURNING *;

-- name: UpsertWebhookWorker :one
-- A sign of life; returns how many workers share the endpoints, and the place of this one among them.
WITH me AS (
    INSERT INTO workers (role, id, alive_until)
    VALUES ('webhook', sqlc.arg(id), sqlc.arg(alive_until)::timestamptz)
    ON CONFLICT (role, id) DO UPDATE SET alive_until = EXCLUDED.alive_until
    RETURNING role
)
SELECT
    ((SELECT count(*) FROM me) + count(o.id))::int AS workers,
    (count(o.id) FILTER (WHERE o.id < sqlc.arg(id)::text))::int AS place
FROM workers AS o
WHERE o.role = 'webhook' AND o.id <> sqlc.arg(id)::text AND o.alive_until > sqlc.arg(now)::timestamptz;

-- name: ListDueLanes :many
-- Across tenants: the endpoints with something due, by stepping from one to the next in the index: the cost is
-- that of the endpoints with anything pending, however much. Each worker looks at its share of them. Once it
-- stepped over `limit_rows`, the last row tells where to go on, due or not. Urgent is what someone asked for: it
-- is found although the lane is closed.
WITH RECURSIVE lane AS (
    (
        SELECT d.tenant_id, d.webhook_id, d.next_attempt_at, 1 AS position
        FROM webhook_deliveries AS d
        WHERE d.state = 'pending' AND d.webhook_id > sqlc.arg(after)::text
            AND d.leased_until <= sqlc.arg(now)::timestamptz
        ORDER BY d.webhook_id, d.next_attempt_at, d.id
        LIMIT 1
    )
    UNION ALL
    SELECT n.tenant_id, n.webhook_id, n.next_attempt_at, lane.position + 1
    FROM lane CROSS JOIN LATERAL (
        SELECT d.tenant_id, d.webhook_id, d.next_attempt_at
        FROM webhook_deliveries AS d
        WHERE d.state = 'pending' AND d.webhook_id > lane.webhook_id
            AND d.leased_until <= sqlc.arg(now)::timestamptz
        ORDER BY d.webhook_id, d.next_attempt_at, d.id
        LIMIT 1
    ) AS n
    WHERE lane.position < sqlc.arg(limit_rows)::int
), found AS (
    SELECT
        l.tenant_id, l.webhook_id, l.position, l.next_attempt_at = to_timestamp(0) AS urgent,
        (
            l.next_attempt_at <= sqlc.arg(now)::timestamptz
            AND (l.next_attempt_at = to_timestamp(0) OR c.webhook_id IS NULL)
            AND mod(hashtext(l.webhook_id) & 2147483647, sqlc.arg(workers)::int) = sqlc.arg(place)::int
        ) AS due
    FROM lane AS l
    LEFT JOIN unnest(sqlc.arg(closed)::text[]) AS c (webhook_id) ON c.webhook_id = l.webhook_id
)
SELECT f.tenant_id::text AS tenant_id, f.webhook_id::text AS webhook_id, f.due::boolean AS due,
    f.urgent::boolean AS urgent,
    (f.position = sqlc.arg(limit_rows)::int)::boolean AS more
FROM found AS f
WHERE f.due OR f.position = sqlc.arg(limit_rows)::int
ORDER BY f.position;

-- name: ClaimDeliveries :many
-- Of each endpoint as many as there is room for, longest due first. SKIP LOCKED, so that workers take different
-- ones. Whoever does not record an outcome before `leased_until` has died, and another claims the delivery again.
WITH due AS (
    SELECT q.tenant_id, q.id
    FROM ROWS FROM (
        unnest(sqlc.arg(tenant_ids)::text[]), unnest(sqlc.arg(webhook_ids)::text[]), unnest(sqlc.arg(rooms)::int[])
    ) AS lane (tenant_id, webhook_id, room)
    CROSS JOIN LATERAL (
        SELECT d.tenant_id, d.id FROM webhook_deliveries AS d
        WHERE d.state = 'pending' AND d.webhook_id = lane.webhook_id AND d.tenant_id = lane.tenant_id
            AND d.next_attempt_at <= sqlc.arg(now)::timestamptz
            AND d.leased_until <= sqlc.arg(now)::timestamptz
        ORDER BY d.next_attempt_at, d.id
        LIMIT lane.room
        FOR UPDATE SKIP LOCKED
    ) AS q
)
UPDATE webhook_deliveries AS c
SET attempts = c.attempts + 1, leased_until = sqlc.arg(leased_until)::timestamptz
FROM due
WHERE c.tenant_id = due.tenant_id AND c.id = due.id
RETURNING c.tenant_id, c.id, c.webhook_id, c.event_id, c.attempts, c.attempts_before;

-- name: ListLaneWebhooks :many
-- The endpoints of lanes, deleted ones too.
SELECT * FROM webhooks WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: ListClaimedEvents :many
-- Across tenants: the events of claimed deliveries. A replay repeats an event's id: any of its rows will do.
SELECT e.*
FROM ROWS FROM (
    unnest(sqlc.arg(tenant_ids)::text[]), unnest(sqlc.arg(ids)::text[])
) AS claimed (tenant_id, id)
CROSS JOIN LATERAL (
    SELECT l.shard, l.epoch, l.xid, l.seq FROM billing_events AS l
    WHERE l.tenant_id = claimed.tenant_id AND l.id = claimed.id
    LIMIT 1
) AS one
JOIN billing_events AS e ON e.shard = one.shard AND e.epoch = one.epoch AND e.xid = one.xid AND e.seq = one.seq;

-- name: RecordAttempts :many
-- What became of claimed deliveries: each attempt is logged, and the latest of its delivery decides; the outcome
-- of one whose lease ran out comes too late. Returns the deliveries that took their outcome. Repeating it after
-- a lost answer changes nothing, not even of a delivery that was sent again meanwhile: its attempts are those
-- before that until it is claimed.
WITH ended AS (
    SELECT
        u.tenant_id, u.delivery_id, u.attempt, u.state, u.next_attempt_at, u.started_at,
        u.duration_ms, u.status_code, u.error, u.response
    FROM ROWS FROM (
        unnest(sqlc.arg(tenant_ids)::text[]), unnest(sqlc.arg(delivery_ids)::text[]),
        unnest(sqlc.arg(attempts)::int[]),
        unnest(sqlc.arg(states)::text[]), unnest(sqlc.arg(next_attempts_at)::timestamptz[]),
        unnest(sqlc.arg(started_at)::timestamptz[]), unnest(sqlc.arg(durations_ms)::int[]),
        unnest(sqlc.arg(status_codes)::int[]), unnest(sqlc.arg(errors)::text[]),
        unnest(sqlc.arg(responses)::text[])
    ) AS u (
        tenant_id, delivery_id, attempt, state, next_attempt_at, started_at, duration_ms, status_code,
        error, response
    )
), marked AS (
    UPDATE webhook_deliveries AS d
    SET state = e.state, next_attempt_at = e.next_attempt_at, leased_until = '-infinity', last_error = e.error,
        delivered_at = (CASE WHEN e.state = 'delivered' THEN sqlc.arg(now)::timestamptz END)
    FROM ended AS e
    WHERE d.tenant_id = e.tenant_id AND d.id = e.delivery_id AND d.attempts = e.attempt AND d.state = 'pending'
        AND d.attempts > d.attempts_before
    RETURNING d.tenant_id, d.id, d.webhook_id, d.attempts, d.state, d.last_error
), logged AS (
    INSERT INTO webhook_delivery_attempts (
        tenant_id, delivery_id, attempt, started_at, duration_ms, status_code, error, response
    )
    SELECT
        e.tenant_id, e.delivery_id, e.attempt, e.started_at, e.duration_ms, e.status_code, e.error, e.response
    FROM ended AS e
    ON CONFLICT DO NOTHING
), buried AS (
    INSERT INTO webhook_dlq (tenant_id, delivery_id, webhook_id, reason, dead_at)
    SELECT m.tenant_id, m.id, m.webhook_id, m.last_error, sqlc.arg(now)::timestamptz
    FROM marked AS m
    WHERE m.state = 'dead'
)
SELECT m.id, m.attempts FROM marked AS m;

-- name: BuryDeliveries :one
-- What is still on its way to a deleted endpoint; returns how many it were.
WITH pending AS (
    SELECT d.id FROM webhook_deliveries AS d
    WHERE d.state = 'pending' AND d.webhook_id = sqlc.arg(webhook_id)::text
        AND d.tenant_id = sqlc.arg(tenant_id)::text AND d.leased_until <= sqlc.arg(now)::timestamptz
    ORDER BY d.next_attempt_at, d.id
    LIMIT sqlc.arg(limit_rows)::int
    FOR UPDATE SKIP LOCKED
), marked AS (
    UPDATE webhook_deliveries AS m
    SET state = 'dead', last_error = sqlc.arg(reason)::text
    FROM pending AS p
    WHERE m.tenant_id = sqlc.arg(tenant_id)::text AND m.id = p.id
    RETURNING m.tenant_id, m.id, m.webhook_id
), buried AS (
    INSERT INTO webhook_dlq (tenant_id, delivery_id, webhook_id, reason, dead_at)
    SELECT m.tenant_id, m.id, m.webhook_id, sqlc.arg(reason)::text, sqlc.arg(now)::timestamptz FROM marked AS m
)
SELECT count(*)::bigint AS deliveries FROM marked;

-- name: MarkOldestDeliveryUrgent :exec
-- Of what waited while the endpoint was disabled.
UPDATE webhook_deliveries AS d
SET next_attempt_at = to_timestamp(0)
WHERE d.tenant_id = sqlc.arg(tenant_id)::text AND d.state = 'pending' AND d.id = (
    SELECT o.id FROM webhook_deliveries AS o
    WHERE o.tenant_id = sqlc.arg(tenant_id)::text AND o.webhook_id = sqlc.arg(webhook_id)::text
        AND o.state = 'pending' AND o.leased_until <= sqlc.arg(now)::timestamptz
    ORDER BY o.next_attempt_at, o.id
    LIMIT 1
    FOR UPDATE SKIP LOCKED
);

-- name: FindDelivery :one
SELECT * FROM webhook_deliveries WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: MarkDeliverySentAgain :one
-- Its tries begin anew, and it leaves the dead letter queue. At the beginning of time, so that it is urgent.
WITH revived AS (
    DELETE FROM webhook_dlq AS q
    WHERE q.tenant_id = sqlc.arg(tenant_id) AND q.delivery_id = sqlc.arg(id)
)
UPDATE webhook_deliveries AS d
SET state = 'pending', attempts_before = d.attempts, next_attempt_at = to_timestamp(0), delivered_at = NULL,
    last_error = ''
WHERE d.tenant_id = sqlc.arg(tenant_id) AND d.id = sqlc.arg(id) AND d.state IN ('delivered', 'dead')
RETURNING d.*;

-- name: MarkDeliveriesSentAgain :many
-- Those of an endpoint and a state whose event was queued in a time span, oldest first, up to a bound. The
-- first is urgent: if it arrives, the others follow.
WITH chosen AS (
    SELECT c.id, c.event_id FROM webhook_deliveries AS c
    WHERE c.tenant_id = sqlc.arg(tenant_id)::text AND c.webhook_id = sqlc.arg(webhook_id)::text
        AND c.state = sqlc.arg(state)::text AND c.state IN ('delivered', 'dead')
        AND c.created_at >= sqlc.arg(created_from)::timestamptz
        AND c.created_at < sqlc.arg(created_before)::timestamptz
    ORDER BY c.event_id
    LIMIT sqlc.arg(limit_rows)::int
    FOR UPDATE
), revived AS (
    DELETE FROM webhook_dlq AS q USING chosen AS h
    WHERE q.tenant_id = sqlc.arg(tenant_id)::text AND q.delivery_id = h.id
)
UPDATE webhook_deliveries AS d
SET state = 'pending', attempts_before = d.attempts, delivered_at = NULL, last_error = '',
    next_attempt_at = (CASE
        WHEN d.event_id = (SELECT min(f.event_id) FROM chosen AS f) THEN to_timestamp(0) ELSE sqlc.arg(now)::timestamptz
    END)
FROM chosen AS k
WHERE d.tenant_id = sqlc.arg(tenant_id)::text AND d.id = k.id
RETURNING d.id;

-- name: MarkDeliveryDiscarded :one
-- A dead one, given up for good.
WITH discarded AS (
    DELETE FROM webhook_dlq AS q
    WHERE q.tenant_id = sqlc.arg(tenant_id)::text AND q.delivery_id = sqlc.arg(id)::text
    RETURNING q.delivery_id
)
UPDATE webhook_deliveries AS d
SET state = 'discarded', discard_reason = sqlc.arg(discard_reason)::text
FROM discarded AS x
WHERE d.tenant_id = sqlc.arg(tenant_id)::text AND d.id = x.delivery_id AND d.state = 'dead'
RETURNING d.*;

-- name: ListDeliveries :many
-- Newest event first; '' means any.
SELECT * FROM webhook_deliveries
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(webhook_id)::text = '' OR webhook_id = sqlc.arg(webhook_id)::text)
    AND (sqlc.arg(event_id)::text = '' OR event_id = sqlc.arg(event_id)::text)
    AND (sqlc.arg(state)::text = '' OR state = sqlc.arg(state)::text)
    AND (
        sqlc.arg(after_event_id)::text = ''
        OR (event_id, id) < (sqlc.arg(after_event_id)::text, sqlc.arg(after_id)::text)
    )
ORDER BY event_id DESC, id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListDeadLetters :many
-- Newest event first; '' means any endpoint.
SELECT d.*, q.reason, q.dead_at
FROM webhook_dlq AS q
JOIN webhook_deliveries AS d ON d.tenant_id = q.tenant_id AND d.id = q.delivery_id
WHERE q.tenant_id = sqlc.arg(tenant_id)::text
    AND (sqlc.arg(webhook_id)::text = '' OR q.webhook_id = sqlc.arg(webhook_id)::text)
    AND (sqlc.arg(after)::text = '' OR q.delivery_id < sqlc.arg(after)::text)
ORDER BY q.delivery_id DESC
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
-- Across tenants, for the metric; it counts no further than a bound.
SELECT count(*)::bigint AS deliveries
FROM (SELECT FROM webhook_deliveries AS d WHERE d.state = 'pending' LIMIT sqlc.arg(limit_rows)::int) AS pending;
