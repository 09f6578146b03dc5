-- name: ClaimAuditSealing :one
-- From where it goes on; nothing while another one seals, which ends with its transaction.
SELECT epoch, xid, seq FROM audit_sealing FOR UPDATE SKIP LOCKED;

-- name: MoveAuditSealing :exec
-- Once all up to there has its seal: else it is refused.
UPDATE audit_sealing SET epoch = sqlc.arg(epoch), xid = sqlc.arg(xid), seq = sqlc.arg(seq);

-- name: ListEntriesToSeal :many
-- Of all tenants, in the order of the log. Nothing that a running transaction could still precede, as with events.
SELECT * FROM audit_entries e
WHERE (e.epoch, e.xid, e.seq) > (sqlc.arg(after_epoch)::int, sqlc.arg(after_xid)::bigint, sqlc.arg(after_seq)::bigint)
    AND (e.xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint OR e.epoch < log_epoch())
    AND NOT EXISTS (SELECT FROM audit_seals s WHERE s.tenant_id = e.tenant_id AND s.audit_id = e.id)
ORDER BY e.epoch, e.xid, e.seq
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListLastSeals :many
-- The newest of each of these tenants.
SELECT s.tenant_id, s.position, s.hash
FROM unnest(sqlc.arg(tenant_ids)::text[]) AS t (id)
CROSS JOIN LATERAL (
    SELECT * FROM audit_seals a WHERE a.tenant_id = t.id ORDER BY a.position DESC LIMIT 1
) s;

-- name: InsertAuditSeals :exec
-- A tenant's next ones, and the head they lead to; the arrays run in parallel.
WITH head AS (
    INSERT INTO audit_heads (tenant_id, count, hash, sealed_at, key_id, signature)
    VALUES (
        sqlc.arg(tenant_id)::text, sqlc.arg(count), sqlc.arg(hash), sqlc.arg(sealed_at), sqlc.arg(key_id),
        sqlc.arg(signature)
    )
)
INSERT INTO audit_seals (tenant_id, position, audit_id, entry_hash, hash)
SELECT sqlc.arg(tenant_id)::text, u.position, u.audit_id, u.entry_hash, u.hash
FROM ROWS FROM (
    unnest(sqlc.arg(positions)::bigint[]), unnest(sqlc.arg(audit_ids)::text[]), unnest(sqlc.arg(entry_hashes)::bytea[]),
    unnest(sqlc.arg(hashes)::bytea[])
) AS u (position, audit_id, entry_hash, hash);

-- name: ListAuditChanges :many
-- Of these entries, which belong to the tenants beside them, each one's in order. As text, which is what is sealed.
-- nullable: old, new
SELECT c.tenant_id, c.audit_id, c.resource_type, c.resource_id, c.operation, c.old::text AS old, c.new::text AS new
FROM ROWS FROM (unnest(sqlc.arg(tenant_ids)::text[]), unnest(sqlc.arg(audit_ids)::text[])) AS u (tenant_id, audit_id)
JOIN audit_changes c ON c.tenant_id = u.tenant_id AND c.audit_id = u.audit_id
ORDER BY c.tenant_id, c.audit_id, c.seq;

-- name: ListAuditSeals :many
-- Oldest first, of a stretch of the chain.
SELECT * FROM audit_seals
WHERE tenant_id = sqlc.arg(tenant_id) AND position > sqlc.arg(after) AND position <= sqlc.arg(until)
ORDER BY position
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListAuditHeads :many
-- Of a stretch of the chain: no more than it has seals.
SELECT * FROM audit_heads
WHERE tenant_id = sqlc.arg(tenant_id) AND count > sqlc.arg(after) AND count <= sqlc.arg(until)
ORDER BY count;

-- name: FindAuditHead :one
-- The newest, up to a count.
SELECT * FROM audit_heads
WHERE tenant_id = sqlc.arg(tenant_id) AND count <= sqlc.arg(until)
ORDER BY count DESC
LIMIT 1;

-- name: GetAuditExtent :one
-- How far seals and heads go, which is equally far. In one statement, since the sealer goes on.
SELECT
    coalesce((SELECT max(s.position) FROM audit_seals s WHERE s.tenant_id = sqlc.arg(tenant_id)), 0)::bigint AS seals,
    coalesce((SELECT max(h.count) FROM audit_heads h WHERE h.tenant_id = sqlc.arg(tenant_id)), 0)::bigint AS heads;

-- name: ListAuditEntriesById :many
SELECT * FROM audit_entries WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: ListSealsOfEntries :many
SELECT * FROM audit_seals WHERE tenant_id = sqlc.arg(tenant_id) AND audit_id = ANY (sqlc.arg(audit_ids)::text[]);

-- name: ListSealsAt :many
SELECT * FROM audit_seals WHERE tenant_id = sqlc.arg(tenant_id) AND position = ANY (sqlc.arg(positions)::bigint[]);

-- name: ListHeadsAt :many
SELECT * FROM audit_heads WHERE tenant_id = sqlc.arg(tenant_id) AND count = ANY (sqlc.arg(counts)::bigint[]);

-- name: ListSealingStates :many
-- Of the next entries after an id. Passed by: the tenant's newest seal is of one that comes after it.
SELECT
    e.id, e.occurred_at,
    -- No EXISTS, for which all seals of the tenant would be read each time.
    ((SELECT s.position FROM audit_seals s WHERE s.tenant_id = e.tenant_id AND s.audit_id = e.id) IS NOT NULL)::boolean
        AS sealed,
    coalesce(
        (e.epoch, e.xid, e.seq) < (
            SELECT n.epoch, n.xid, n.seq
            FROM audit_seals l
            JOIN audit_entries n ON n.tenant_id = l.tenant_id AND n.id = l.audit_id
            WHERE l.tenant_id = sqlc.arg(tenant_id)
            ORDER BY l.position DESC
            LIMIT 1
        ),
        false
    )::boolean AS passed_by
FROM audit_entries e
WHERE e.tenant_id = sqlc.arg(tenant_id) AND e.id > sqlc.arg(after)
ORDER BY e.id
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListAnnouncedHeads :many
-- The events that said how far the log went, oldest first.
SELECT id, payload FROM billing_events
WHERE tenant_id = sqlc.arg(tenant_id) AND resource_id = 'audit' AND id > sqlc.arg(after) AND subject = 'audit.sealed'
ORDER BY id
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListAuditEntries :many
-- Newest first. '' and null mean any.
SELECT e.* FROM audit_entries e
WHERE e.tenant_id = sqlc.arg(tenant_id)
    AND (sqlc.arg(before)::text = '' OR e.id < sqlc.arg(before)::text)
    AND (sqlc.arg(actor)::text = '' OR e.actor = sqlc.arg(actor)::text)
    AND (
        sqlc.arg(action)::text = '' OR e.action = sqlc.arg(action)::text
        OR split_part(e.action, '/', 2) = sqlc.arg(action)::text
    )
    AND (sqlc.narg(from_time)::timestamptz IS NULL OR e.occurred_at >= sqlc.narg(from_time)::timestamptz)
    AND (sqlc.narg(until_time)::timestamptz IS NULL OR e.occurred_at < sqlc.narg(until_time)::timestamptz)
    AND (
        sqlc.arg(resource_id)::text = ''
        -- As an array, since a subquery beneath an OR would be held against every entry of the tenant.
        OR e.id = ANY (ARRAY(
            SELECT c.audit_id FROM audit_changes c
            WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.resource_id = sqlc.arg(resource_id)::text
        ))
    )
ORDER BY e.id DESC
LIMIT sqlc.arg(limit_rows)::int;
