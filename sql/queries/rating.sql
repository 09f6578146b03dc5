-- name: ClaimClosedCycles :many
-- Takes cycles to be rated, in the order of time, progressive ones first: what they bill, the others have billed. Not
-- those that are trials, not closed yet, or rated before.
WITH claimed AS (
    UPDATE billing_cycles
    SET state = 'rated', version = version + 1
    WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]) AND state = 'closed' AND NOT trial
    RETURNING *
)
SELECT c.* FROM claimed c ORDER BY c.threshold_minor = 0, c.period_start, c.id;

-- name: MarkCycleMinimums :exec
-- What the full periods of some cycles come to at least. The arrays run in parallel.
UPDATE billing_cycles c SET minimum_minor = n.minimum_minor
FROM (SELECT unnest(sqlc.arg(ids)::text[]) AS id, unnest(sqlc.arg(minimums_minor)::bigint[]) AS minimum_minor) n
WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.id = n.id;

-- name: ListRatedItems :many
-- Of several subscriptions at once, each subscription's in its own order. Those that served or were billed since then
-- (the arrays run in parallel), that a pause holds, or that are named; one-time items until they are charged.
SELECT
    i.id, i.subscription_id, i.price_id, i.meter_code, i.overridden, i.aggregation, i.quantity, i.starts_at, i.ends_at,
    i.billed_from, i.billed_until, s.timezone, s.currency, coalesce(s.trial_end_at, s.start_at)::timestamptz AS paid_from,
    s.ended_at, s.commitments
FROM (
    SELECT
        unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id, unnest(sqlc.arg(since)::timestamptz[]) AS since
) n
JOIN subscription_items i ON i.tenant_id = sqlc.arg(tenant_id) AND i.subscription_id = n.subscription_id
JOIN subscriptions s ON s.tenant_id = i.tenant_id AND s.id = i.subscription_id
WHERE CASE
    WHEN i.one_time THEN NOT EXISTS (
        SELECT FROM charges c
        WHERE c.tenant_id = i.tenant_id AND c.subscription_item_id = i.id AND c.kind = 'one_time'
    )
    ELSE i.ends_at >= n.since OR i.billed_until > n.since OR i.paused OR i.id = ANY (sqlc.arg(item_ids)::text[])
END
ORDER BY i.subscription_id, i.position, i.starts_at, i.id;

-- name: ListPricedUsage :many
-- What some items used and were billed for, in periods from then on.
SELECT t.subscription_item_id, t.period_start, t.billed_quantity, t.aggregation, t.transform, t.record_count,
    t.quantity_sum, t.quantity_max, coalesce(t.quantity_min, 0)::numeric AS quantity_min
FROM usage_totals t
WHERE t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_item_id = ANY (sqlc.arg(item_ids)::text[])
    AND t.period_start >= sqlc.arg(since)::timestamptz AND NOT t.excluded;

-- name: FindFullPeriod :one
-- That a moment of a subscription lies in.
SELECT full_period_start, full_period_end
FROM billing_cycles
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id)
    AND full_period_start <= sqlc.arg(at)::timestamptz AND full_period_end > sqlc.arg(at)::timestamptz AND NOT trial
LIMIT 1;

-- name: ListRatedPrices :many
SELECT * FROM prices WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: ListUnbilledUsage :many
-- nullable: none
-- Of the full periods that some cycles lie in, up to the cycles' ends, and of the instant in which service ended with
-- them; and, `settled`, of other periods: of those whose cycles are rated, where it came late, and of those that never
-- come since service ended before, where it was reported ahead of the clock. Whether it comes to another quantity than
-- was billed is for the program to say.
SELECT
    t.subscription_id, t.subscription_item_id, t.period_start, t.period_end, t.aggregation,
    t.transform, t.record_count, t.quantity_sum, t.quantity_max, coalesce(t.quantity_min, 0)::numeric AS quantity_min,
    t.billed_quantity, t.billed_amount, t.first_recorded_at, t.last_recorded_at,
    coalesce(c.full_period_start, t.period_start)::timestamptz AS full_period_start,
    coalesce(c.full_period_end, t.period_start)::timestamptz AS full_period_end,
    coalesce(c.rated, t.period_start >= t.ended_at, false)::boolean AS settled,
    -- Of a settled period that was rated again, the price that holds now; '' is the item's own.
    coalesce(r.corrected_price_id, '')::text AS corrected_price_id
FROM (
    SELECT
        u.tenant_id, u.subscription_id, u.subscription_item_id, u.period_start, u.period_end, u.billed_quantity,
        u.aggregation, u.transform, u.record_count, u.quantity_sum, u.quantity_max, u.quantity_min, u.billed_amount,
        u.first_recorded_at, u.last_recorded_at, n.period_start AS rated_start, n.full_period_start AS rated_from,
        n.period_end AS rated_end, s.ended_at
    FROM (
        SELECT
            unnest(sqlc.arg(subscription_ids)::text[]) AS subscription_id,
            unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
            unnest(sqlc.arg(full_period_starts)::timestamptz[]) AS full_period_start,
            unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end
    ) n
    JOIN subscriptions s ON s.tenant_id = sqlc.arg(tenant_id) AND s.id = n.subscription_id
    JOIN usage_totals u ON u.tenant_id = s.tenant_id AND u.subscription_id = s.id AND NOT u.excluded
        AND (
            u.unrated
            -- Invoices of thresholds have some of it; of what was taken back since, maybe an amount alone.
            OR (u.billed_quantity <> 0 OR u.billed_amount <> 0)
                AND u.period_start >= n.full_period_start AND u.period_start <= n.period_end
            -- The level that it opened with may be another one now.
            OR u.aggregation = 'time_weighted' AND EXISTS (
                SELECT FROM usage_totals e
                WHERE e.tenant_id = u.tenant_id AND e.subscription_id = u.subscription_id
                    AND e.meter_code = u.meter_code AND e.period_start < u.period_start AND e.unrated
            )
        )
) t
LEFT JOIN LATERAL (
    -- The part that it begins in: in the instant in which service ended, the last one of its period. If its item serves
    -- in later ones, they bill all of it.
    SELECT b.period_start, b.full_period_start, b.full_period_end,
        (b.state IN ('rated', 'invoiced') AND b.period_start < t.rated_start AND NOT EXISTS (
            SELECT
            FROM billing_cycles l
            JOIN subscription_items i ON i.tenant_id = l.tenant_id AND i.id = t.subscription_item_id
            WHERE l.tenant_id = b.tenant_id AND l.subscription_id = b.subscription_id
                AND l.full_period_start = b.full_period_start AND l.period_start > b.period_start
                AND l.period_start < least(l.period_end, i.ends_at) AND l.state NOT IN ('rated', 'invoiced')
        )) AS rated
    FROM billing_cycles b
    WHERE b.tenant_id = t.tenant_id AND b.subscription_id = t.subscription_id
        AND b.threshold_minor = 0 AND b.period_start <= t.period_start AND b.full_period_end > t.period_start
        AND (b.period_end > t.period_start OR b.period_end = t.ended_at)
    ORDER BY b.period_start DESC
    LIMIT 1
) c ON true
LEFT JOIN LATERAL (
    SELECT o.corrected_price_id
    FROM rerated_charges o
    WHERE o.tenant_id = t.tenant_id AND o.subscription_item_id = t.subscription_item_id AND o.kind = 'usage'
        AND o.period_start = t.period_start
    ORDER BY o.revision DESC
    LIMIT 1
) r ON c.rated
WHERE t.period_start >= t.rated_from AND (t.period_start < t.rated_end OR c.period_start = t.rated_start)
    OR coalesce(c.rated, t.period_start >= t.ended_at)
ORDER BY t.subscription_id, t.period_start, t.subscription_item_id;

-- name: GetBilledUsageAmount :one
-- What was billed of a subscription's usage in a period.
SELECT coalesce(sum(billed_amount), 0)::numeric AS amount
FROM usage_totals
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id) AND NOT excluded
    AND period_start >= sqlc.arg(period_start) AND period_start < sqlc.arg(period_end)::timestamptz;

-- name: InsertCharges :exec
-- Charges of several cycles, and in the totals what they bill. The arrays run in parallel; '' is no unit amount.
WITH rated AS (
    INSERT INTO charges (
        tenant_id, id, cycle_id, subscription_item_id, kind, price_id, price_override_id, description, period_start,
        period_end, quantity, unit_amount, unit_size, currency, amount, amount_before, tiers, steps, by_record, basis,
        created_at
    )
    SELECT
        sqlc.arg(tenant_id), n.id, n.cycle_id, n.subscription_item_id, n.kind, n.price_id,
        nullif(n.price_override_id, ''), n.description, n.period_start, n.period_end, n.quantity,
        nullif(n.unit_amount, '')::numeric, n.unit_size, n.currency, n.amount, n.amount_before, n.tiers, n.steps,
        n.by_record, n.basis, sqlc.arg(created_at)
    FROM (
        SELECT
            unnest(sqlc.arg(ids)::text[]) AS id,
            unnest(sqlc.arg(cycle_ids)::text[]) AS cycle_id,
            unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
            unnest(sqlc.arg(kinds)::text[]) AS kind,
            unnest(sqlc.arg(price_ids)::text[]) AS price_id,
            unnest(sqlc.arg(price_override_ids)::text[]) AS price_override_id,
            unnest(sqlc.arg(descriptions)::text[]) AS description,
            unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start,
            unnest(sqlc.arg(period_ends)::timestamptz[]) AS period_end,
            unnest(sqlc.arg(quantities)::numeric[]) AS quantity,
            unnest(sqlc.arg(unit_amounts)::text[]) AS unit_amount,
            unnest(sqlc.arg(unit_sizes)::numeric[]) AS unit_size,
            unnest(sqlc.arg(currencies)::text[]) AS currency,
            unnest(sqlc.arg(amounts)::numeric[]) AS amount,
            unnest(sqlc.arg(amounts_before)::numeric[]) AS amount_before,
            -- One document, for the driver takes lists of lists for arrays of two dimensions.
            jsonb_array_elements(sqlc.arg(tiers)::jsonb) AS tiers,
            jsonb_array_elements(sqlc.arg(steps)::jsonb) AS steps,
            nullif(jsonb_array_elements(sqlc.arg(by_record)::jsonb), 'null') AS by_record,
            jsonb_array_elements(sqlc.arg(basis)::jsonb) AS basis
    ) n
    RETURNING subscription_item_id, kind, period_start, quantity, amount
)
UPDATE usage_totals t
SET billed_quantity = t.billed_quantity + r.quantity, billed_amount = t.billed_amount + r.amount,
    billed_count = t.record_count, unrated = false, version = t.version + 1
FROM (
    -- A total is updated once, whatever charges there are of it.
    SELECT subscription_item_id, period_start, sum(quantity) AS quantity, sum(amount) AS amount
    FROM rated
    WHERE kind IN ('usage', 'adjustment')
    GROUP BY subscription_item_id, period_start
) r
WHERE t.tenant_id = sqlc.arg(tenant_id)
    AND t.subscription_item_id = r.subscription_item_id AND t.period_start = r.period_start;

-- name: MarkUsageUnchanged :exec
-- Totals that changed and are billed right all the same; the arrays run in parallel.
UPDATE usage_totals t
SET billed_count = t.record_count, unrated = false, version = t.version + 1
FROM (
    SELECT
        unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start
) u
WHERE t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_item_id = u.subscription_item_id
    AND t.period_start = u.period_start;

-- name: ListCharges :many
-- Of several cycles at once: each cycle's items in their order, then what came late, by period.
SELECT c.*
FROM charges c JOIN subscription_items i ON i.tenant_id = c.tenant_id AND i.id = c.subscription_item_id
WHERE c.tenant_id = sqlc.arg(tenant_id) AND c.cycle_id = ANY (sqlc.arg(cycle_ids)::text[])
ORDER BY
    c.cycle_id, c.kind = 'adjustment', (CASE WHEN c.kind = 'adjustment' THEN c.period_start END), i.position, c.period_start,
    i.id;

-- name: FindBilledPrice :one
-- nullable: none
-- The price of an item's usage in a period, what the customer pays in, and whether the subscription has thresholds; no
-- row when the period is a trial, where nothing is billed. `plain`: nothing was negotiated, and no other item came
-- before; or the price was corrected.
SELECT
    p.*, s.currency AS paid_currency,
    (r.corrected_price_id IS NOT NULL OR NOT i.overridden AND i.starts_at < s.start_at)::boolean AS plain,
    (s.spend_thresholds IS NOT NULL)::boolean AS has_thresholds
FROM usage_totals t
JOIN subscription_items i ON i.tenant_id = t.tenant_id AND i.id = t.subscription_item_id
LEFT JOIN LATERAL (
    SELECT o.corrected_price_id
    FROM rerated_charges o
    WHERE o.tenant_id = t.tenant_id AND o.subscription_item_id = t.subscription_item_id AND o.kind = 'usage'
        AND o.period_start = t.period_start
    ORDER BY o.revision DESC
    LIMIT 1
) r ON true
JOIN prices p ON p.tenant_id = i.tenant_id AND p.id = coalesce(r.corrected_price_id, i.price_id)
JOIN subscriptions s ON s.tenant_id = t.tenant_id AND s.id = t.subscription_id
WHERE t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_item_id = sqlc.arg(subscription_item_id)
    AND t.period_start = sqlc.arg(period_start) AND NOT t.excluded;

-- name: ListChargesByIds :many
SELECT * FROM charges WHERE tenant_id = sqlc.arg(tenant_id) AND id = ANY (sqlc.arg(ids)::text[]);

-- name: ListChargeParts :many
-- For each of some charges all that bill the same: the usage of the same total, or the same fee in the same full
-- period. Found by the subscription's cycles, for charges have no index by item.
SELECT
    o.id AS part_of_id, c.id AS charge_id, c.kind, c.period_start, c.period_end, c.quantity, c.amount,
    c.created_at AS rated_at
FROM charges o
JOIN billing_cycles b ON b.tenant_id = o.tenant_id AND b.id = o.cycle_id
JOIN billing_cycles a ON a.tenant_id = b.tenant_id AND a.subscription_id = b.subscription_id
JOIN charges c ON c.tenant_id = a.tenant_id AND c.cycle_id = a.id
    AND c.subscription_item_id = o.subscription_item_id
    AND CASE o.kind
        WHEN 'recurring' THEN c.kind = 'recurring' AND a.full_period_start = b.full_period_start
        WHEN 'one_time' THEN c.id = o.id
        ELSE c.kind IN ('usage', 'adjustment') AND c.period_start = o.period_start
    END
WHERE o.tenant_id = sqlc.arg(tenant_id) AND o.id = ANY (sqlc.arg(ids)::text[])
ORDER BY o.id, c.created_at, c.period_start, c.id;
