-- name: ListUsageItems :many
-- The metered items of some subscriptions that served since then or are paused, with all that says which period a
-- record belongs to.
SELECT
    i.id, i.meter_code::text AS meter_code, i.aggregation::text AS aggregation, s.id AS subscription_id, s.customer_id,
    (s.version + s.terms_version)::bigint AS subscription_version, s.anchor_at, s.interval_unit, s.interval_count,
    s.timezone, s.start_at, s.trial_end_at, s.ended_at, s.next_change_at, i.max_quantity, i.starts_at, i.ends_at,
    m.filters, m.transform,
    (i.aggregation IN ('unique', 'latest', 'time_weighted') OR p.model IN ('matrix', 'percentage'))::boolean AS by_record
FROM subscriptions s
JOIN subscription_items i ON i.tenant_id = s.tenant_id AND i.subscription_id = s.id
JOIN prices p ON p.tenant_id = i.tenant_id AND p.id = i.price_id
JOIN meters m ON m.tenant_id = p.tenant_id AND m.id = p.meter_id
WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.id = ANY (sqlc.arg(subscription_ids)::text[])
    AND i.meter_code IS NOT NULL AND (i.ends_at >= sqlc.arg(since)::timestamptz OR i.paused)
ORDER BY i.starts_at, i.id;

-- name: GetUsageState :one
-- What only counts once the customers are locked, in one round trip: which of the keys (with commas between
-- them) were accepted before, the subscriptions' versions in the order of their ids, and whether a quota may
-- limit them. CASE, so that tenants without such quotas pay one look into an empty index.
SELECT
    ARRAY(
        SELECT k.key::text FROM usage_keys k
        WHERE k.tenant_id = sqlc.arg(tenant_id) AND k.key = ANY (string_to_array(sqlc.arg(keys)::text, ',')::uuid[])
    )::text[] AS known_keys,
    ARRAY(
        SELECT s.version + s.terms_version FROM subscriptions s
        WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.id = ANY (sqlc.arg(subscription_ids)::text[])
        ORDER BY s.id
    )::bigint[] AS versions,
    (CASE
        WHEN EXISTS (
            SELECT FROM quotas q
            WHERE q.tenant_id = sqlc.arg(tenant_id) AND (q.enforcement = 'hard' OR q.scope = 'tenant')
        ) THEN EXISTS (
            SELECT FROM subscriptions s JOIN quotas q ON q.tenant_id = s.tenant_id
                AND q.subject_id = ANY (ARRAY[s.id, s.customer_id, s.plan_id, s.tenant_id])
            WHERE s.tenant_id = sqlc.arg(tenant_id) AND s.id = ANY (sqlc.arg(subscription_ids)::text[])
                AND (q.enforcement = 'hard' OR q.scope = 'tenant')
        )
        ELSE false
    END)::bool AS has_quotas;

-- name: ListRepeatedUsage :many
-- Which records have the content that their key was accepted with; numbers count from 1 into the arrays.
SELECT i.number::int AS number
FROM (
    SELECT
        unnest(sqlc.arg(keys)::text[]::uuid[]) AS key, unnest(sqlc.arg(quantities)::text[]::numeric[]) AS quantity,
        unnest(sqlc.arg(recorded_us)::bigint[]) AS recorded_us,
        unnest(sqlc.arg(sources)::text[]) AS source,
        nullif(jsonb_array_elements(sqlc.arg(properties)::jsonb), 'null') AS properties,
        generate_series(1, cardinality(sqlc.arg(recorded_us)::bigint[])) AS number
) i
JOIN usage_keys k ON k.tenant_id = sqlc.arg(tenant_id) AND k.key = i.key
WHERE k.content = usage_content(i.source, i.quantity, i.recorded_us, i.properties);

-- name: InsertUsage :many
-- One batch: keys, records, hours and period totals in one statement. `keys`, `quantities`, `recorded_us` and
-- `places` run in parallel, one entry per record, and are texts: the driver spends five times as long on an array,
-- since it examines each element. `keys` have commas between them, which is cheaper to take apart than the array
-- literals that the others are. `properties` are a JSON array, which may stay empty: the others then go on without it.
-- A place counts from 1 into the arrays of periods; below zero it is that of a record which the meter's filters leave
-- out, and which is counted apart: by groups, not one by one. Returns, per period, what the batch brought and what it
-- comes to now.
--
-- Keys are inserted plainly: ON CONFLICT would double their cost, and those already known were sorted out before.
-- Sorted, so that two batches with the same keys cannot deadlock; all else is under the customers' locks.
-- The FULL JOIN pairs rows one to one; it is there because it cannot be planned as a nested loop, which a plan
-- made for unknown array lengths would choose.
-- nullable: none
WITH input AS MATERIALIZED (
    SELECT
        string_to_table(sqlc.arg(keys)::text, ',')::uuid AS key,
        unnest(sqlc.arg(quantities)::text::numeric[]) AS quantity,
        unnest(sqlc.arg(recorded_us)::text::bigint[]) AS recorded_us, unnest(sqlc.arg(places)::text::int[]) AS place,
        nullif(jsonb_array_elements(sqlc.arg(properties)::jsonb), 'null') AS properties
), fresh AS (
    INSERT INTO usage_keys (tenant_id, key, recorded_at, content)
    SELECT
        sqlc.arg(tenant_id), i.key, to_timestamp(0) + i.recorded_us * interval '1 microsecond',
        usage_content((sqlc.arg(sources)::text[])[abs(i.place)], i.quantity, i.recorded_us, i.properties)
    FROM input i
    ORDER BY i.key
), stored AS (
    INSERT INTO usage_records (tenant_id, recorded_at, key, subscription_item_id, quantity, received_at, properties, filtered, rated_from)
    SELECT
        sqlc.arg(tenant_id), to_timestamp(0) + r.recorded_us * interval '1 microsecond', r.key,
        (sqlc.arg(subscription_item_ids)::text[])[abs(r.place)], r.quantity, sqlc.arg(received_at)::timestamptz,
        r.properties, CASE WHEN r.place < 0 THEN true END,
        -- Whose place is below zero has none: it is not rated.
        CASE WHEN (sqlc.arg(by_record)::bool[])[r.place] THEN (sqlc.arg(period_starts)::timestamptz[])[r.place] END
    FROM input r
), hours AS MATERIALIZED (
    SELECT
        r.place, r.recorded_us / 3600000000 AS hour, count(*) AS record_count, sum(r.quantity) AS quantity_sum,
        max(r.quantity) AS quantity_max, min(r.quantity) AS quantity_min, min(r.recorded_us) AS first_us,
        max(r.recorded_us) AS last_us
    FROM input r
    GROUP BY r.place, r.recorded_us / 3600000000
), rollups AS (
    INSERT INTO usage_rollups AS u (
        tenant_id, subscription_item_id, hour, record_count, quantity_sum, quantity_max, quantity_min
    )
    SELECT
        sqlc.arg(tenant_id), h.subscription_item_id, to_timestamp(h.hour * 3600), sum(h.record_count),
        sum(h.quantity_sum), max(h.quantity_max), min(h.quantity_min)
    FROM (
        SELECT hours.*, (sqlc.arg(subscription_item_ids)::text[])[hours.place] AS subscription_item_id
        FROM hours
        WHERE hours.place > 0
    ) h
    GROUP BY h.subscription_item_id, h.hour
    ON CONFLICT (tenant_id, subscription_item_id, hour) DO UPDATE SET
        record_count = u.record_count + EXCLUDED.record_count,
        quantity_sum = u.quantity_sum + EXCLUDED.quantity_sum,
        quantity_max = greatest(u.quantity_max, EXCLUDED.quantity_max),
        quantity_min = least(u.quantity_min, EXCLUDED.quantity_min)
), batch AS MATERIALIZED (
    SELECT
        abs(h.place) AS place, (sqlc.arg(subscription_item_ids)::text[])[abs(h.place)] AS subscription_item_id,
        (sqlc.arg(period_starts)::timestamptz[])[abs(h.place)] AS period_start,
        coalesce(sum(h.record_count) FILTER (WHERE h.place > 0), 0)::bigint AS record_count,
        coalesce(sum(h.quantity_sum) FILTER (WHERE h.place > 0), 0) AS quantity_sum,
        coalesce(max(h.quantity_max) FILTER (WHERE h.place > 0), 0) AS quantity_max,
        min(h.quantity_min) FILTER (WHERE h.place > 0) AS quantity_min,
        coalesce(sum(h.record_count) FILTER (WHERE h.place < 0), 0)::bigint AS filtered_count,
        coalesce(sum(h.quantity_sum) FILTER (WHERE h.place < 0), 0) AS filtered_sum,
        to_timestamp(0) + min(h.first_us) * interval '1 microsecond' AS first_recorded_at,
        to_timestamp(0) + max(h.last_us) * interval '1 microsecond' AS last_recorded_at
    FROM hours h
    GROUP BY abs(h.place)
), totals AS (
    INSERT INTO usage_totals AS t (
        tenant_id, subscription_item_id, period_start, period_end, subscription_id, customer_id, meter_code,
        aggregation, transform, record_count, quantity_sum, quantity_max, quantity_min, filtered_count, filtered_sum,
        unrated, excluded, first_recorded_at, last_recorded_at
    )
    SELECT
        sqlc.arg(tenant_id), b.subscription_item_id, b.period_start,
        (sqlc.arg(period_ends)::timestamptz[])[b.place], (sqlc.arg(subscription_ids)::text[])[b.place],
        (sqlc.arg(customer_ids)::text[])[b.place], (sqlc.arg(meter_codes)::text[])[b.place],
        (sqlc.arg(aggregations)::text[])[b.place], nullif(sqlc.arg(transforms)::jsonb -> b.place - 1, 'null'),
        b.record_count, b.quantity_sum, b.quantity_max, b.quantity_min, b.filtered_count, b.filtered_sum,
        b.record_count > 0, (sqlc.arg(excluded)::bool[])[b.place], b.first_recorded_at, b.last_recorded_at
    FROM batch b
    ON CONFLICT (tenant_id, subscription_item_id, period_start) DO UPDATE SET
        record_count = t.record_count + EXCLUDED.record_count,
        quantity_sum = t.quantity_sum + EXCLUDED.quantity_sum,
        quantity_max = greatest(t.quantity_max, EXCLUDED.quantity_max),
        quantity_min = least(t.quantity_min, EXCLUDED.quantity_min),
        filtered_count = t.filtered_count + EXCLUDED.filtered_count,
        filtered_sum = t.filtered_sum + EXCLUDED.filtered_sum,
        unrated = t.unrated OR EXCLUDED.record_count > 0,
        first_recorded_at = least(t.first_recorded_at, EXCLUDED.first_recorded_at),
        last_recorded_at = greatest(t.last_recorded_at, EXCLUDED.last_recorded_at),
        version = t.version + 1
    RETURNING
        t.subscription_item_id, t.period_start, t.record_count, t.quantity_sum, t.quantity_max, t.quantity_min, t.version
)
SELECT
    b.place::int AS place, b.record_count::bigint AS record_count, b.quantity_sum::numeric AS quantity_sum,
    b.quantity_max::numeric AS quantity_max, coalesce(b.quantity_min, 0)::numeric AS quantity_min,
    b.filtered_count::bigint AS filtered_count, b.first_recorded_at::timestamptz AS first_recorded_at,
    b.last_recorded_at::timestamptz AS last_recorded_at, t.record_count::bigint AS total_record_count,
    t.quantity_sum::numeric AS total_quantity_sum, t.quantity_max::numeric AS total_quantity_max,
    coalesce(t.quantity_min, 0)::numeric AS total_quantity_min, t.version::bigint AS total_version
FROM batch b FULL JOIN totals t
    ON t.subscription_item_id = b.subscription_item_id AND t.period_start = b.period_start;

-- name: EnsureUsagePartition :exec
SELECT ensure_usage_partition(sqlc.arg(month)::date);

-- name: ListUsageTotals :many
-- Newest period first.
SELECT * FROM usage_totals
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id)
    AND (sqlc.arg(after_item_id)::text = ''
        OR (period_start, subscription_item_id) < (sqlc.arg(after_start)::timestamptz, sqlc.arg(after_item_id)::text))
ORDER BY period_start DESC, subscription_item_id DESC
LIMIT sqlc.arg(limit_rows)::int;

-- name: ListUsageBuckets :many
-- In the order of time. `meter_code` '' means every meter.
SELECT
    u.subscription_item_id, u.hour, u.record_count, u.quantity_sum, u.quantity_max, u.quantity_min,
    i.aggregation::text AS aggregation
FROM subscription_items i JOIN usage_rollups u
    ON u.tenant_id = i.tenant_id AND u.subscription_item_id = i.id
WHERE i.tenant_id = sqlc.arg(tenant_id) AND i.subscription_id = sqlc.arg(subscription_id)
    AND (sqlc.arg(meter_code)::text = '' OR i.meter_code = sqlc.arg(meter_code)::text)
    AND u.hour >= sqlc.arg(start_at)::timestamptz AND u.hour < sqlc.arg(end_at)::timestamptz
    AND (sqlc.arg(after_item_id)::text = ''
        OR (u.hour, u.subscription_item_id) > (sqlc.arg(after_hour)::timestamptz, sqlc.arg(after_item_id)::text))
ORDER BY u.hour, u.subscription_item_id
LIMIT sqlc.arg(limit_rows)::int;

-- name: MarkUsageExcluded :exec
-- The usage of periods that were to start then or later is free.
UPDATE usage_totals SET excluded = true
WHERE tenant_id = sqlc.arg(tenant_id) AND subscription_id = sqlc.arg(subscription_id)
    AND period_start >= sqlc.arg(from_start)::timestamptz;

-- name: MarkUsageBilled :many
-- Which totals the invoice holds some of, once per invoice: only a newer one (ids are time-ordered) counts.
WITH billed AS (
    SELECT l.subscription_item_id, l.period_start, sum(l.quantity) AS quantity
    FROM invoice_lines l
    WHERE l.tenant_id = sqlc.arg(tenant_id) AND l.invoice_id = sqlc.arg(invoice_id)::text
        AND l.type IN ('usage', 'adjustment')
    GROUP BY l.subscription_item_id, l.period_start
)
UPDATE usage_totals t
SET invoice_id = sqlc.arg(invoice_id)::text, version = t.version + 1
FROM billed b
WHERE t.tenant_id = sqlc.arg(tenant_id) AND t.subscription_item_id = b.subscription_item_id
    AND t.period_start = b.period_start AND (t.invoice_id IS NULL OR t.invoice_id < sqlc.arg(invoice_id)::text)
RETURNING
    t.subscription_id, t.subscription_item_id, t.period_start, t.period_end, t.customer_id, t.version,
    b.quantity::numeric AS quantity;

-- name: ListUsageBalances :many
-- nullable: none
-- The books of the usage of periods that start in a span: raw records on one side, totals and invoices on the other.
-- Per meter (`subscription_item_id` is ''), and, where the sides differ, per item and period, in pages. Records that
-- no total knows are listed under the first moment there is. Records are added up three times: as they were reported
-- (accepted), as corrections left them (standing), and those of them that the meter's filters let through (kept).
WITH totals AS MATERIALIZED (
    SELECT
        t.subscription_item_id, t.period_start, t.period_end, t.record_count, t.excluded, t.billed_quantity, t.unrated,
        t.last_recorded_at, t.quantity_sum, t.filtered_count, t.filtered_sum, t.transform,
        metered_quantity(
            t.aggregation, NULL::jsonb, t.record_count, t.quantity_sum, t.quantity_max, t.quantity_min
        )::numeric AS aggregated,
        -- Of what only records say, the books have what was rated.
        coalesce(metered_quantity(
            t.aggregation, t.transform, t.record_count, t.quantity_sum, t.quantity_max, t.quantity_min
        ), t.billed_quantity)::numeric AS quantity,
        lead(t.period_start) OVER (PARTITION BY t.subscription_item_id ORDER BY t.period_start) AS next_start
    FROM usage_totals t
    WHERE t.tenant_id = sqlc.arg(tenant_id)
        AND (sqlc.arg(meter_code)::text = '' OR t.meter_code = sqlc.arg(meter_code)::text)
), corrected AS MATERIALIZED (
    SELECT DISTINCT ON (c.key) c.key, c.quantity
    FROM usage_corrections c
    WHERE c.tenant_id = sqlc.arg(tenant_id)
    ORDER BY c.key, c.revision DESC
), records AS (
    SELECT
        r.subscription_item_id, r.recorded_at, r.quantity AS accepted, r.filtered IS TRUE AS filtered,
        CASE WHEN c.key IS NULL THEN r.quantity ELSE c.quantity END AS standing
    FROM usage_records r LEFT JOIN corrected c ON c.key = r.key
    WHERE r.tenant_id = sqlc.arg(tenant_id) AND r.recorded_at >= sqlc.arg(start_at)::timestamptz
        AND r.recorded_at < greatest(sqlc.arg(end_at)::timestamptz, (
            SELECT max(greatest(t.period_end, t.last_recorded_at + interval '1 microsecond'))
            FROM totals t
            WHERE t.period_start >= sqlc.arg(start_at)::timestamptz AND t.period_start < sqlc.arg(end_at)::timestamptz
        ))
), counted AS MATERIALIZED (
    -- Which period a record belongs to: the item's last that began by then.
    SELECT
        r.subscription_item_id, coalesce(t.period_start, to_timestamp(0)) AS period_start,
        count(*) AS accepted_records, sum(r.accepted) AS accepted_sum, max(r.accepted) AS accepted_max,
        min(r.accepted) AS accepted_min,
        count(r.standing) AS standing_records, sum(r.standing) AS standing_sum, max(r.standing) AS standing_max,
        min(r.standing) AS standing_min,
        count(r.standing) FILTER (WHERE NOT r.filtered) AS kept_records,
        sum(r.standing) FILTER (WHERE NOT r.filtered) AS kept_sum,
        max(r.standing) FILTER (WHERE NOT r.filtered) AS kept_max,
        min(r.standing) FILTER (WHERE NOT r.filtered) AS kept_min,
        coalesce(sum(r.standing) FILTER (WHERE r.filtered), 0) AS filtered_sum
    FROM records r
    LEFT JOIN totals t ON t.subscription_item_id = r.subscription_item_id AND t.period_start <= r.recorded_at
        AND (t.next_start IS NULL OR r.recorded_at < t.next_start)
    WHERE t.period_start IS NULL AND r.recorded_at < sqlc.arg(end_at)::timestamptz
        OR t.period_start >= sqlc.arg(start_at)::timestamptz AND t.period_start < sqlc.arg(end_at)::timestamptz
    GROUP BY r.subscription_item_id, t.period_start
), parts AS (
    SELECT c.subscription_item_id, c.period_start, 0 AS invoiced_quantity, 0 AS voided_quantity
    FROM counted c
    UNION ALL
    SELECT t.subscription_item_id, t.period_start, 0, 0
    FROM totals t
    WHERE t.period_start >= sqlc.arg(start_at)::timestamptz AND t.period_start < sqlc.arg(end_at)::timestamptz
    UNION ALL
    -- What invoices hold. Those withdrawn count by themselves, unless they were issued again.
    SELECT
        l.subscription_item_id::text, l.period_start,
        CASE WHEN i.state <> 'void' THEN l.quantity ELSE 0 END,
        CASE WHEN i.state = 'void' AND NOT EXISTS (
            SELECT FROM invoices n WHERE n.tenant_id = i.tenant_id AND n.replaces_invoice_id = i.id
        ) THEN l.quantity ELSE 0 END
    FROM invoice_lines l JOIN invoices i ON i.tenant_id = l.tenant_id AND i.id = l.invoice_id
    WHERE l.tenant_id = sqlc.arg(tenant_id) AND l.type IN ('usage', 'adjustment')
        AND l.period_start >= sqlc.arg(start_at)::timestamptz AND l.period_start < sqlc.arg(end_at)::timestamptz
    UNION ALL
    -- Rated, and on the way to an invoice.
    SELECT c.subscription_item_id, c.period_start, c.quantity, 0
    FROM billing_cycles b JOIN charges c ON c.tenant_id = b.tenant_id AND c.cycle_id = b.id
    WHERE b.tenant_id = sqlc.arg(tenant_id) AND b.state = 'rated' AND c.kind IN ('usage', 'adjustment')
        AND c.period_start >= sqlc.arg(start_at)::timestamptz AND c.period_start < sqlc.arg(end_at)::timestamptz
), sums AS (
    SELECT
        p.subscription_item_id, p.period_start, sum(p.invoiced_quantity) AS invoiced_quantity,
        sum(p.voided_quantity) AS voided_quantity
    FROM parts p
    GROUP BY p.subscription_item_id, p.period_start
), books AS MATERIALIZED (
    SELECT
        i.meter_code::text AS meter_code, i.aggregation::text AS aggregation, i.subscription_id, s.subscription_item_id,
        s.period_start, s.invoiced_quantity, s.voided_quantity, coalesce(t.billed_quantity, 0) AS billed_quantity,
        coalesce(t.quantity, 0) AS quantity, coalesce(t.record_count, 0) AS record_count,
        coalesce(t.filtered_count, 0) AS filtered_count, coalesce(t.filtered_sum, 0) AS filtered_sum,
        CASE WHEN t.excluded THEN t.record_count ELSE 0 END AS trial_records,
        CASE WHEN t.excluded THEN t.quantity ELSE 0 END AS trial_quantity,
        coalesce(t.aggregated, t.quantity_sum, 0) AS aggregated,
        coalesce(metered_quantity(
            i.aggregation, NULL::jsonb, coalesce(c.kept_records, 0), c.kept_sum, c.kept_max, c.kept_min
        ), c.kept_sum, 0)::numeric AS kept_aggregated,
        coalesce(c.accepted_records, 0) AS accepted_records, coalesce(c.standing_records, 0) AS standing_records,
        coalesce(c.kept_records, 0) AS kept_records, coalesce(c.filtered_sum, 0) AS kept_filtered_sum,
        coalesce(metered_quantity(
            i.aggregation, t.transform, coalesce(c.accepted_records, 0), c.accepted_sum, c.accepted_max, c.accepted_min
        ), t.quantity, 0)::numeric AS accepted_quantity,
        coalesce(metered_quantity(
            i.aggregation, t.transform, coalesce(c.standing_records, 0), c.standing_sum, c.standing_max, c.standing_min
        ), t.quantity, 0)::numeric AS standing_quantity,
        coalesce(metered_quantity(
            i.aggregation, t.transform, coalesce(c.kept_records, 0), c.kept_sum, c.kept_max, c.kept_min
        ), t.quantity, 0)::numeric AS kept_quantity,
        coalesce(NOT t.excluded AND (t.unrated OR t.quantity <> s.invoiced_quantity + s.voided_quantity), false)
            AS pending
    FROM sums s
    JOIN subscription_items i ON i.tenant_id = sqlc.arg(tenant_id) AND i.id = s.subscription_item_id
    LEFT JOIN totals t ON t.subscription_item_id = s.subscription_item_id AND t.period_start = s.period_start
    LEFT JOIN counted c ON c.subscription_item_id = s.subscription_item_id AND c.period_start = s.period_start
    WHERE i.meter_code IS NOT NULL AND (sqlc.arg(meter_code)::text = '' OR i.meter_code = sqlc.arg(meter_code)::text)
), drifts AS MATERIALIZED (
    SELECT b.*
    FROM books b
    WHERE b.kept_records <> b.record_count OR b.kept_aggregated <> b.aggregated
        OR b.standing_records - b.kept_records <> b.filtered_count OR b.kept_filtered_sum <> b.filtered_sum
        OR b.billed_quantity <> b.invoiced_quantity + b.voided_quantity
)
SELECT
    b.meter_code, b.aggregation, ''::text AS subscription_id, ''::text AS subscription_item_id,
    to_timestamp(0)::timestamptz AS period_start, count(*)::bigint AS period_count,
    (SELECT count(*) FROM drifts d WHERE d.meter_code = b.meter_code AND d.aggregation = b.aggregation)::bigint
        AS drift_count,
    sum(b.accepted_records)::bigint AS accepted_records, sum(b.standing_records)::bigint AS standing_records,
    sum(b.kept_records)::bigint AS kept_records,
    sum(b.record_count)::bigint AS record_count, sum(b.filtered_count)::bigint AS filtered_count,
    sum(b.trial_records)::bigint AS trial_records,
    coalesce(sum(b.record_count - b.trial_records) FILTER (WHERE b.pending), 0)::bigint AS pending_records,
    sum(b.accepted_quantity)::numeric AS accepted_quantity, sum(b.standing_quantity)::numeric AS standing_quantity,
    sum(b.kept_quantity)::numeric AS kept_quantity,
    sum(b.quantity)::numeric AS quantity, sum(b.trial_quantity)::numeric AS trial_quantity,
    sum(b.billed_quantity)::numeric AS billed_quantity, sum(b.invoiced_quantity)::numeric AS invoiced_quantity,
    sum(b.voided_quantity)::numeric AS voided_quantity, sum(b.aggregated)::numeric AS aggregated,
    sum(b.kept_aggregated)::numeric AS kept_aggregated, sum(b.filtered_sum)::numeric AS filtered_sum,
    sum(b.kept_filtered_sum)::numeric AS kept_filtered_sum
FROM books b
GROUP BY b.meter_code, b.aggregation
UNION ALL
(
    SELECT
        d.meter_code, d.aggregation, d.subscription_id, d.subscription_item_id, d.period_start, 1, 1, d.accepted_records::bigint,
        d.standing_records::bigint, d.kept_records::bigint, d.record_count::bigint, d.filtered_count::bigint,
        d.trial_records::bigint, CASE WHEN d.pending THEN d.record_count - d.trial_records ELSE 0 END::bigint,
        d.accepted_quantity, d.standing_quantity, d.kept_quantity, d.quantity, d.trial_quantity, d.billed_quantity,
        d.invoiced_quantity, d.voided_quantity, d.aggregated, d.kept_aggregated, d.filtered_sum, d.kept_filtered_sum
    FROM drifts d
    WHERE (d.subscription_item_id, d.period_start)
        > (sqlc.arg(after_item_id)::text, sqlc.arg(after_start)::timestamptz)
    ORDER BY d.subscription_item_id, d.period_start
    LIMIT sqlc.arg(limit_rows)::int
)
ORDER BY subscription_item_id, period_start, meter_code;

-- name: ListUsageTotalsOf :many
-- Those of some items and periods; the arrays run in parallel.
SELECT t.*
FROM usage_totals t
JOIN (
    SELECT
        unnest(sqlc.arg(subscription_item_ids)::text[]) AS subscription_item_id,
        unnest(sqlc.arg(period_starts)::timestamptz[]) AS period_start
) n ON n.subscription_item_id = t.subscription_item_id AND n.period_start = t.period_start
WHERE t.tenant_id = sqlc.arg(tenant_id);

-- name: ListUsageRecords :many
-- nullable: corrected_quantity, properties
-- A page of an item's records of some time, in its order. Records have no index by item: the hours say up to when the
-- page reaches, and only that time is searched. Of the hour that it begins in, some may be on the page before: it
-- does not count.
WITH hours AS (
    SELECT
        u.hour,
        sum(CASE WHEN u.hour > sqlc.arg(after_at)::timestamptz THEN u.record_count ELSE 0 END)
            OVER (ORDER BY u.hour) - u.record_count AS before
    FROM usage_rollups u
    WHERE u.tenant_id = sqlc.arg(tenant_id) AND u.subscription_item_id = sqlc.arg(subscription_item_id)::text
        AND u.hour > sqlc.arg(after_at)::timestamptz - interval '1 hour'
        AND u.hour < sqlc.arg(period_end)::timestamptz
), reach AS (
    SELECT max(h.hour) + interval '1 hour' AS until FROM hours h WHERE h.before < sqlc.arg(limit_rows)::int
)
SELECT
    r.subscription_item_id, r.key, r.recorded_at, r.quantity, r.received_at, r.properties,
    (c.revision IS NOT NULL)::boolean AS corrected, c.quantity AS corrected_quantity
FROM usage_records r
LEFT JOIN LATERAL (
    SELECT u.revision, u.quantity FROM usage_corrections u
    WHERE u.tenant_id = r.tenant_id AND u.key = r.key
    ORDER BY u.revision DESC
    LIMIT 1
) c ON true
WHERE r.tenant_id = sqlc.arg(tenant_id) AND r.subscription_item_id = sqlc.arg(subscription_item_id)::text
    AND r.filtered IS NOT TRUE AND r.recorded_at >= sqlc.arg(after_at)::timestamptz
    AND r.recorded_at < least(
        sqlc.arg(period_end)::timestamptz, coalesce((SELECT until FROM reach), sqlc.arg(after_at)::timestamptz)
    )
    AND (r.recorded_at, r.key) > (sqlc.arg(after_at)::timestamptz, sqlc.arg(after_key)::text::uuid)
ORDER BY r.recorded_at, r.key
LIMIT sqlc.arg(limit_rows)::int;
