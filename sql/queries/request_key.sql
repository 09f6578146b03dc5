-- name: OpenRequest :one
-- Holds the request id until the transaction ends, if nobody else does, and reads the answer given before.
-- nullable: request_hash, response
SELECT c.claimed::boolean AS claimed, c.request_hash::bytea AS request_hash, c.response::bytea AS response
FROM claim_request(
    sqlc.arg(tenant_id)::text, sqlc.arg(method)::text, sqlc.arg(request_id)::text, sqlc.arg(account)::text
) AS c (claimed, request_hash, response);

-- name: RecordRequest :exec
-- The answer, the audit entry of who asked for it, and the events, as by InsertEvents.
WITH audited AS (
    INSERT INTO audit_entries (
        tenant_id, id, occurred_at, actor, action, request_id, correlation_id, trace_id, ip, user_agent, reason
    )
    VALUES (
        sqlc.arg(tenant_id), sqlc.arg(audit_id), sqlc.arg(created_at), sqlc.arg(actor), sqlc.arg(method),
        sqlc.arg(request_id), sqlc.arg(correlation_id), sqlc.arg(trace_id), sqlc.arg(ip), sqlc.arg(user_agent),
        sqlc.arg(reason)
    )
),
happened AS (
    INSERT INTO billing_events (
        shard, id, subject, tenant_id, resource_id, resource_version, ordering_key, payload_type, payload,
        correlation_id, causation_id, actor, traceparent, created_at
    )
    SELECT
        u.shard, u.id, u.subject, sqlc.arg(tenant_id), u.resource_id, u.resource_version, u.ordering_key,
        u.payload_type, u.payload, u.correlation_id, u.causation_id, u.actor, u.traceparent, sqlc.arg(created_at)
    FROM ROWS FROM (
        unnest(sqlc.arg(shards)::int[]), unnest(sqlc.arg(ids)::text[]), unnest(sqlc.arg(subjects)::text[]),
        unnest(sqlc.arg(resource_ids)::text[]), unnest(sqlc.arg(resource_versions)::bigint[]),
        unnest(sqlc.arg(ordering_keys)::text[]), unnest(sqlc.arg(payload_types)::text[]),
        unnest(sqlc.arg(payloads)::bytea[]), unnest(sqlc.arg(correlation_ids)::text[]),
        unnest(sqlc.arg(causation_ids)::text[]), unnest(sqlc.arg(actors)::text[]),
        unnest(sqlc.arg(traceparents)::text[])
    ) AS u (
        shard, id, subject, resource_id, resource_version, ordering_key, payload_type, payload, correlation_id,
        causation_id, actor, traceparent
    )
)
INSERT INTO request_keys (tenant_id, method, request_id, account, request_hash, response, customer_id, created_at)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(method), sqlc.arg(request_id), sqlc.arg(account), sqlc.arg(request_hash),
    sqlc.arg(response)::bytea, sqlc.narg(customer_id), sqlc.arg(created_at)
);

-- name: EraseAnswers :exec
-- Those that held a customer's personal data. That there was one stays known.
UPDATE request_keys SET request_hash = '', response = NULL
WHERE tenant_id = sqlc.arg(tenant_id) AND customer_id = sqlc.arg(customer_id)::text AND response IS NOT NULL;
