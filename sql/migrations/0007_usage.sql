-- migrate:up

-- Which keys were accepted, whatever time their records bear. Apart from the records, because uniqueness
-- does not survive partitioning by time; keys are UUIDs (others hashed into one), so the index stays narrow.
-- The key comes first in the index: time-ordered keys of all tenants meet at its right edge, and comparing
-- 16 bytes is cheaper than comparing the tenant's name (a quarter of the insert, measured).
CREATE TABLE usage_keys (
    tenant_id text NOT NULL,
    key uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- Hash of what was reported: the same again is a duplicate, anything else under the key a conflict.
    content bigint NOT NULL,
    PRIMARY KEY (key, tenant_id)
);

-- `source` is subscription and meter in one text, as the client named them. Not the item that the record counts for:
-- that is another one after a change. Most records have no properties: null.
CREATE FUNCTION usage_content(source text, quantity numeric, recorded_us bigint, properties jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(source,
        hash_numeric_extended(quantity, coalesce(jsonb_hash_extended(properties, recorded_us), recorded_us)))
$$;

-- Without a unique index: `usage_keys` keeps records apart, and a second index would cost a sixth of the insert.
CREATE TABLE usage_records (
    tenant_id text NOT NULL,
    recorded_at timestamptz NOT NULL,
    key uuid NOT NULL,
    subscription_item_id text NOT NULL,
    -- Without a declared scale, which would round each value a second time and pad it to 12 decimals.
    quantity numeric NOT NULL CHECK (quantity >= 0),
    received_at timestamptz NOT NULL,
    -- An object of texts; null when there are none. Nulls take no room: the row's header has it to spare.
    properties jsonb,
    -- True when the meter's filters leave the record out: it counts for nothing.
    filtered boolean,
    -- When the period starts that the record counts for. Set alone for what is rated by single records: their meter
    -- counts different values, takes the latest one or weighs them by time, or their price looks at each.
    rated_from timestamptz
) PARTITION BY RANGE (recorded_at);
CREATE INDEX usage_records_by_time ON usage_records USING brin (recorded_at);
-- Only such records are ever looked for: for all others, ingestion has no index to keep.
CREATE INDEX usage_records_rated ON usage_records (tenant_id, subscription_item_id, recorded_at)
    WHERE rated_from IS NOT NULL;

-- What is billed: exact per subscription item and period, kept as records come in. All mergeable
-- aggregates are kept; the meter's own says which of them is the quantity. They are of the records that the meter's
-- filters let through; the others are counted apart.
CREATE TABLE usage_totals (
    tenant_id text NOT NULL,
    subscription_item_id text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    subscription_id text NOT NULL,
    customer_id text NOT NULL,
    meter_code text NOT NULL,
    aggregation text NOT NULL CHECK (
        aggregation IN ('sum', 'count', 'max', 'min', 'unique', 'latest', 'average', 'time_weighted')
    ),
    -- The meter's, as a period's quantity is billed; null when it has none.
    transform jsonb,
    record_count bigint NOT NULL,
    quantity_sum numeric NOT NULL,
    quantity_max numeric NOT NULL,
    -- Null when none counted.
    quantity_min numeric,
    filtered_count bigint NOT NULL DEFAULT 0,
    filtered_sum numeric NOT NULL DEFAULT 0,
    -- A trial's usage: never billed.
    excluded boolean NOT NULL,
    -- Changed since it was last rated: whatever changes a total sets it, and the next cycle rates it (again).
    unrated boolean NOT NULL DEFAULT true,
    -- Of `record_count`: those that were there when it was last rated.
    billed_count bigint NOT NULL DEFAULT 0,
    billed_quantity numeric NOT NULL DEFAULT 0,
    -- Exact amount that invoices hold for it, in major units.
    billed_amount numeric NOT NULL DEFAULT 0,
    -- The newest invoice announced as holding it: a replayed announcement changes nothing.
    invoice_id text,
    -- Null when nothing was reported: a level that was only held on is billed too.
    first_recorded_at timestamptz,
    last_recorded_at timestamptz,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, subscription_item_id, period_start)
) WITH (fillfactor = 70);
CREATE INDEX usage_totals_by_subscription ON usage_totals (tenant_id, subscription_id, period_start);

-- Per hour, for queries and charts; billing never reads it (an hour cannot be split at a second). Outlives
-- the records and is never dropped by month, hence no partitions.
CREATE TABLE usage_rollups (
    tenant_id text NOT NULL,
    subscription_item_id text NOT NULL,
    hour timestamptz NOT NULL,
    record_count bigint NOT NULL,
    quantity_sum numeric NOT NULL,
    quantity_max numeric NOT NULL,
    -- Null when all were taken back.
    quantity_min numeric,
    PRIMARY KEY (tenant_id, subscription_item_id, hour)
) WITH (fillfactor = 70);

-- Makes the month's partition if it is missing: for any time, since sandbox tenants live in theirs. Attached
-- rather than created in place, which would stop all ingestion until it commits. The partition carries no
-- grants; it is reached through its parent and the parent's policy.
--
-- One that is there may be unknown to a backend: it read the list of partitions while this one was being attached,
-- took note of the attachment, and then kept the list from before. Any change of the table makes all read it anew; one
-- that changes nothing, and lets others insert meanwhile, is enough.
CREATE FUNCTION ensure_usage_partition(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    first timestamp := date_trunc('month', month);
    child text := 'usage_records' || to_char(first, '_YYYY_MM');
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ensure_usage_partition'));
    IF to_regclass('public.' || child) IS NOT NULL THEN
        ALTER TABLE ONLY public.usage_records ALTER COLUMN key SET STATISTICS -1;
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.usage_records INCLUDING ALL)', child);
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', child);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', child);
    EXECUTE format('ALTER TABLE public.usage_records ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', child,
        first AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
END
$$;
REVOKE ALL ON FUNCTION ensure_usage_partition(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_usage_partition(date) TO corebilling_app, corebilling_worker;

-- What a period's totals come to, as `corebilling/values/metering.py` has it, to the last of twelve decimals; null for
-- what only records say. Division is by whole numbers, which is exact: a plain quotient has too few digits.
CREATE FUNCTION metered_quantity(
    aggregation text, transform jsonb, record_count numeric, quantity_sum numeric, quantity_max numeric,
    quantity_min numeric
) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE t.rounding
        WHEN 'QUANTITY_ROUNDING_UP' THEN (div(a.quantity, t.block) + sign(mod(a.quantity, t.block))) * t.block_size
        WHEN 'QUANTITY_ROUNDING_DOWN' THEN div(a.quantity, t.block) * t.block_size
        WHEN 'QUANTITY_ROUNDING_HALF_UP' THEN div(2 * a.quantity + t.block, 2 * t.block) * t.block_size
        ELSE CASE WHEN t.divide_by = 1 THEN a.quantity
            ELSE div(2e12 * a.quantity + t.divide_by, 2 * t.divide_by) * 1e-12 END
    END
    FROM (
        SELECT CASE aggregation
            WHEN 'sum' THEN coalesce(quantity_sum, 0)
            WHEN 'count' THEN record_count
            WHEN 'max' THEN coalesce(quantity_max, 0)
            WHEN 'min' THEN coalesce(quantity_min, 0)
            WHEN 'average' THEN CASE WHEN record_count = 0 THEN 0
                ELSE div(2e12 * quantity_sum + record_count, 2 * record_count) * 1e-12 END
        END AS quantity
    ) a, (
        SELECT
            d.divide_by, d.block_size, d.divide_by * d.block_size AS block, transform ->> 'rounding' AS rounding
        FROM (
            SELECT
                coalesce(nullif(transform ->> 'divide_by', ''), '1')::numeric AS divide_by,
                coalesce(nullif(transform ->> 'block_size', ''), '1')::numeric AS block_size
        ) d
    ) t
$$;

CALL isolate_tenant('usage_keys');
CALL isolate_tenant('usage_records');
CALL isolate_tenant('usage_totals');
CALL isolate_tenant('usage_rollups');
GRANT EXECUTE ON FUNCTION usage_content(text, numeric, bigint, jsonb) TO corebilling_app;
GRANT EXECUTE ON FUNCTION metered_quantity(text, jsonb, numeric, numeric, numeric, numeric) TO corebilling_app;
GRANT SELECT, INSERT ON usage_keys, usage_records TO corebilling_app;
GRANT SELECT, INSERT, UPDATE ON usage_totals, usage_rollups TO corebilling_app;
GRANT SELECT ON usage_keys, usage_records, usage_rollups TO corebilling_worker;
GRANT SELECT, INSERT, UPDATE ON usage_totals TO corebilling_worker;

-- migrate:down
DROP FUNCTION ensure_usage_partition(date);
DROP FUNCTION metered_quantity(text, jsonb, numeric, numeric, numeric, numeric);
DROP TABLE usage_rollups;
DROP TABLE usage_totals;
DROP TABLE usage_records;
DROP FUNCTION usage_content(text, numeric, bigint, jsonb);
DROP TABLE usage_keys;
