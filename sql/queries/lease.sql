-- name: ClaimRouterShards :many
-- Renews the shards this router holds, and takes free ones, up to its share. SKIP LOCKED: two that start
-- together take different shards.
UPDATE router_shards s
SET owner = sqlc.arg(owner)::text, lease_until = sqlc.arg(lease_until)::timestamptz
WHERE s.shard IN (
    SELECT f.shard FROM router_shards f
    WHERE f.owner = sqlc.arg(owner)::text OR f.lease_until < sqlc.arg(now)::timestamptz
    ORDER BY (f.owner = sqlc.arg(owner)::text) DESC, f.shard
    LIMIT sqlc.arg(share)::int
    FOR UPDATE SKIP LOCKED
)
RETURNING s.shard;

-- name: ReleaseRouterShards :exec
-- Gives back every shard but these.
UPDATE router_shards SET owner = '', lease_until = '-infinity'
WHERE owner = sqlc.arg(owner) AND shard <> ALL (sqlc.arg(keep)::int[]);
