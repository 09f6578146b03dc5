-- name: InsertBillingCycle :exec
-- Once per subscription and period, however many schedulers run.
INSERT INTO billing_cycles (
    tenant_id, id, subscription_id, customer_id, period_start, period_end, full_period_start, full_period_end, state,
    trial, sandbox, due_at, consolidated
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(subscription_id), sqlc.arg(customer_id), sqlc.arg(period_start),
    sqlc.arg(period_end), sqlc.arg(full_period_start), sqlc.arg(full_period_end), sqlc.arg(state), sqlc.arg(trial),
    sqlc.arg(sandbox), sqlc.narg(due_at),
    (
        SELECT c.consolidate_invoices FROM customers c
        WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = sqlc.arg(customer_id)
    )
)
ON CONFLICT ON CONSTRAINT billing_cycles_once DO NOTHING;

-- name: InsertClosingCycles :exec
-- For those of some subscriptions that have usage to bill, but no cycle left to bill it with: a cycle of no length,
-- as of now. The customers are locked, so there is one at a time; without a grace the next may start at the same
-- instant, hence the microsecond.
INSERT INTO billing_cycles (
    tenant_id, id, subscription_id, customer_id, period_start, period_end, full_period_start, full_period_end, state,
    trial, sandbox, due_at
)
SELECT
    s.tenant_id, n.id, s.id, s.customer_id, l.starts_at, l.starts_at, l.starts_at, l.starts_at, 'grace', false, sqlc.arg(sandbox),
    sqlc.arg(due_at)::timestamptz
FROM (
    SELECT
        unnest(sqlc.arg(ids)::text[]) AS id,
        unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id
) n
JOIN subscriptions s ON s.tenant_id = sqlc.arg(tenant_id) AND s.id = n.subscription_id
CROSS JOIN LATERAL (
    SELECT greatest(sqlc.arg(now)::timestamptz, max(c.period_start) + interval '1 microsecond') AS starts_at
    FROM billing_cycles c
    WHERE c.tenant_id = s.tenant_id AND c.subscription_id = s.id
    HAVING bool_and(c.trial OR c.threshold_minor > 0 OR c.state IN ('rated', 'invoiced'))
) l
WHERE EXISTS (
    SELECT FROM usage_totals t
    JOIN subscription_items i ON i.tenant_id = t.tenant_id AND i.id = t.subscription_item_id
    JOIN prices p ON p.tenant_id = i.tenant_id AND p.id = i.price_id
    WHERE t.tenant_id = s.tenant_id AND t.subscription_id = s.id AND NOT t.excluded AND t.unrated
        -- Where the total itself shows that it comes to what was billed, there is nothing to close.
        AND (
            p.model IN ('matrix', 'percentage')
            OR metered_quantity(
                t.aggregation, t.transform, t.record_count, t.quantity_sum, t.quantity_max, t.quantity_min
            ) IS DISTINCT FROM t.billed_quantity
        )
);

-- name: InsertProgressiveCycle :many
-- To bill the usage so far of a period: closed at once, of no length. No row where that was done for the threshold.
INSERT INTO billing_cycles (
    tenant_id, id, subscription_id, customer_id, period_start, period_end, full_period_start, full_period_end, state,
    trial, sandbox, closed_at, threshold_minor, version
)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(id), sqlc.arg(subscription_id), sqlc.arg(customer_id), sqlc.arg(at)::timestamptz,
    sqlc.arg(at)::timestamptz, sqlc.arg(full_period_start), sqlc.arg(full_period_end), 'closed', false,
    sqlc.arg(sandbox), sqlc.arg(at)::timestamptz, sqlc.arg(threshold_minor), sqlc.arg(version)
)
ON CONFLICT DO NOTHING
RETURNING *;

-- name: GetReachedThreshold :one
-- The highest threshold that a period's usage was billed at; 0: none.
SELECT coalesce(max(threshold_minor), 0)::bigint AS threshold_minor
FROM billing_cycles
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id)
    AND full_period_start = sqlc.arg(full_period_start) AND threshold_minor > 0;

-- name: FindNewestCycle :one
-- Of those that bill periods: ids are time-ordered like these.
SELECT * FROM billing_cycles
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id) AND threshold_minor = 0
ORDER BY id DESC
LIMIT 1;

-- name: FindBillingCycle :one
SELECT * FROM billing_cycles WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id);

-- name: FindRunningCycle :one
-- The cycle whose period runs now (or has yet to begin): a subscription has at most one.
SELECT * FROM billing_cycles
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id) AND state IN ('scheduled', 'open');

-- name: ListPendingCycles :many
-- Those of a subscription that are yet to be invoiced, with those that are invoiced together with them, in the order in
-- which they get there: what is closed already, then as they fall due.
SELECT * FROM billing_cycles
WHERE tenant_id = sqlc.arg(tenant_id)
    AND (subscription_id = sqlc.arg(subscription_id) OR customer_id = sqlc.arg(together_customer_id) AND consolidated)
    AND state <> 'invoiced' AND NOT (trial AND state = 'closed')
ORDER BY due_at NULLS FIRST, period_start
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkBillingCycle :one
UPDATE billing_cycles
SET state = sqlc.arg(state), period_end = sqlc.arg(period_end), due_at = sqlc.narg(due_at),
    closed_at = sqlc.narg(closed_at), failed_attempts = 0, version = sqlc.arg(new_version)
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id) AND version = sqlc.arg(version)
RETURNING *;

-- name: ListBillingCycles :many
-- Newest period first; ids are time-ordered like the periods.
SELECT * FROM billing_cycles
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id)
    AND (sqlc.arg(after)::text = '' OR id < sqlc.arg(after)::text)
ORDER BY id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListDueLiveCycles :many
-- Across tenants: what the wall clock makes due, longest due first.
SELECT tenant_id, id, customer_id, state
FROM billing_cycles
WHERE NOT sandbox AND due_at <= sqlc.arg(now) AND retry_at <= sqlc.arg(now)
ORDER BY due_at
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListDueSandboxCycles :many
-- Of one sandbox tenant, by its own clock; `wall` is what time it really is.
SELECT tenant_id, id, customer_id, state
FROM billing_cycles
WHERE sandbox AND tenant_id = sqlc.arg(tenant_id) AND due_at <= sqlc.arg(now) AND retry_at <= sqlc.arg(wall)
ORDER BY due_at
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkCycleFailed :one
-- Sets a due cycle aside: a second, doubling to five minutes. (No power beyond the ninth: it would overflow.)
UPDATE billing_cycles
SET failed_attempts = failed_attempts + 1,
    retry_at = sqlc.arg(now)::timestamptz + interval '1 second' * least(power(2, least(failed_attempts, 9)), 300)
WHERE tenant_id = sqlc.arg(tenant_id) AND id = sqlc.arg(id)
RETURNING failed_attempts;

-- name: FindNextDue :one
-- When a sandbox tenant's next boundary comes; no row when there is none.
SELECT n.due_at::timestamptz AS due_at
FROM (
    (
        SELECT c.due_at FROM billing_cycles c
        WHERE c.sandbox AND c.tenant_id = sqlc.arg(tenant_id) AND c.due_at IS NOT NULL
        ORDER BY c.due_at
        LIMIT 1
    )
    UNION ALL
    (
        SELECT d.due_at FROM ledger_dues d
        WHERE d.sandbox AND d.tenant_id = sqlc.arg(tenant_id)
        ORDER BY d.due_at
        LIMIT 1
    )
) n
ORDER BY n.due_at
LIMIT 1;

-- name: ListLiveDues :many
-- As ListDueLiveCycles, of what the ledger's clock posts.
SELECT tenant_id, kind, source_id, customer_id
FROM ledger_dues
WHERE NOT sandbox AND due_at <= sqlc.arg(now) AND retry_at <= sqlc.arg(now)
ORDER BY due_at
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListSandboxDues :many
-- As ListDueSandboxCycles.
SELECT tenant_id, kind, source_id, customer_id
FROM ledger_dues
WHERE sandbox AND tenant_id = sqlc.arg(tenant_id) AND due_at <= sqlc.arg(now) AND retry_at <= sqlc.arg(wall)
ORDER BY due_at
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListDuesToSettle :many
-- Those of some that are due still, now that their customers are locked.
SELECT source_id FROM ledger_dues
WHERE tenant_id = sqlc.arg(tenant_id) AND kind = sqlc.arg(kind) AND source_id = ANY (sqlc.arg(source_ids)::text[])
    AND due_at <= sqlc.arg(now)
ORDER BY due_at, source_id;

-- name: MarkDueFailed :one
-- As MarkCycleFailed.
UPDATE ledger_dues
SET failed_attempts = failed_attempts + 1,
    retry_at = sqlc.arg(now)::timestamptz + interval '1 second' * least(power(2, least(failed_attempts, 9)), 300)
WHERE tenant_id = sqlc.arg(tenant_id) AND kind = sqlc.arg(kind) AND source_id = sqlc.arg(source_id)
RETURNING failed_attempts;

-- name: ListCyclesToClose :many
-- Those of some cycles whose grace is over, longest due first.
SELECT * FROM billing_cycles
WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]) AND state = 'grace'
    AND due_at <= sqlc.arg(now)
ORDER BY due_at, id;

-- name: MarkBillingCyclesClosed :execrows
UPDATE billing_cycles c
SET state = 'closed', due_at = NULL, closed_at = sqlc.arg(closed_at)::timestamptz, failed_attempts = 0,
    version = u.version
FROM (SELECT unnest(sqlc.arg(ids)::text[]) AS id, unnest(sqlc.arg(versions)::bigint[]) AS version) u
WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = u.id AND c.state = 'grace';

-- name: ListUsageSummaries :many
-- What the usage of some cycles came to, per metered item: of those too that began within the cycle's period.
-- `period_start` is the cycle's.
SELECT
    t.subscription_id, u.period_start::timestamptz AS period_start, t.subscription_item_id, t.meter_code, t.aggregation,
    t.transform, t.record_count, t.quantity_sum, t.quantity_max, coalesce(t.quantity_min, 0)::numeric AS quantity_min
FROM (
    SELECT
        unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
        unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end
) u
JOIN usage_totals t
    ON t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_id = u.subscription_id
    AND t.period_start >= u.period_start
    AND (t.period_start < u.period_end OR t.period_start = u.period_start)
ORDER BY t.subscription_item_id;

-- name: FindTestClock :one
SELECT * FROM test_clocks WHERE tenant_id = sqlc.arg(tenant_id);

-- name: ListBusyClocks :many
-- Across tenants: clocks with something due, and clocks on their way unless a cycle that was set aside holds
-- them. Fairly: those that moved least come first.
SELECT c.tenant_id
FROM test_clocks c
WHERE c.retry_at <= sqlc.arg(wall)
    AND (
        EXISTS (
            SELECT FROM billing_cycles b
            WHERE b.sandbox AND b.tenant_id = c.tenant_id AND b.due_at <= c.now_at AND b.retry_at <= sqlc.arg(wall)
        )
        OR EXISTS (
            SELECT FROM ledger_dues d
            WHERE d.sandbox AND d.tenant_id = c.tenant_id AND d.due_at <= c.now_at AND d.retry_at <= sqlc.arg(wall)
        )
        OR c.now_at < c.target_at AND NOT EXISTS (
            SELECT FROM billing_cycles b
            WHERE b.sandbox AND b.tenant_id = c.tenant_id AND b.due_at <= c.now_at
        ) AND NOT EXISTS (
            SELECT FROM ledger_dues d
            WHERE d.sandbox AND d.tenant_id = c.tenant_id AND d.due_at <= c.now_at
        )
    )
ORDER BY c.version
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkTestClockTarget :one
UPDATE test_clocks SET target_at = sqlc.arg(target_at), version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND version = sqlc.arg(version)
RETURNING *;

-- name: MarkTestClockMoved :one
UPDATE test_clocks SET now_at = sqlc.arg(now_at), failed_attempts = 0, version = version + 1
WHERE tenant_id = sqlc.arg(tenant_id) AND version = sqlc.arg(version)
RETURNING *;

-- name: MarkTestClockFailed :one
-- Sets a clock aside as MarkCycleFailed does a cycle.
UPDATE test_clocks
SET failed_attempts = failed_attempts + 1,
    retry_at = sqlc.arg(now)::timestamptz + interval '1 second' * least(power(2, least(failed_attempts, 9)), 300)
WHERE tenant_id = sqlc.arg(tenant_id)
RETURNING failed_attempts;
