-- migrate:up
CREATE TABLE products (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT products_code_taken UNIQUE (tenant_id, code)
);

CREATE TABLE meters (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    aggregation text NOT NULL CHECK (
        aggregation IN ('sum', 'count', 'max', 'min', 'unique', 'latest', 'average', 'time_weighted')
    ),
    unit text NOT NULL,
    -- `MeterFilter`s in JSON.
    filters jsonb NOT NULL DEFAULT '[]',
    -- A `MeterTransform` in JSON; null when quantities stay what they are.
    transform jsonb,
    -- Whose values a unique count is of; '' for others.
    unique_property text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT meters_code_taken UNIQUE (tenant_id, code),
    CHECK ((aggregation = 'unique') = (unique_property <> ''))
);

-- One row per version of a price; never updated.
CREATE TABLE prices (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    product_id text NOT NULL,
    code text NOT NULL,
    price_version integer NOT NULL,
    currency text NOT NULL,
    model text NOT NULL CHECK (
        model IN ('flat', 'per_unit', 'graduated', 'volume', 'package', 'matrix', 'percentage')
    ),
    usage text NOT NULL CHECK (usage IN ('licensed', 'metered')),
    meter_id text,
    -- One-time prices have no interval.
    one_time boolean NOT NULL DEFAULT false,
    interval_unit text CHECK (interval_unit IN ('day', 'week', 'month', 'year')),
    interval_count integer CHECK (interval_count > 0),
    unit_amount numeric(32, 12),
    unit_size numeric(32, 12) NOT NULL CHECK (unit_size > 0),
    -- [{up_to, unit_amount, flat_amount, block_size, maximum_amount}], decimals as strings; the last up_to is
    -- empty, and so is what a tier does not have.
    tiers jsonb NOT NULL DEFAULT '[]',
    included_quantity numeric(32, 12) NOT NULL DEFAULT 0 CHECK (included_quantity >= 0),
    -- Of one whole period's usage.
    minimum_amount numeric(32, 12),
    maximum_amount numeric(32, 12),
    no_flat_amount_when_unused boolean NOT NULL DEFAULT false,
    -- Of matrix prices: [{values, unit_amount}], a value for each dimension.
    dimensions text[] NOT NULL DEFAULT '{}',
    cells jsonb NOT NULL DEFAULT '[]',
    default_unit_amount numeric(32, 12),
    -- Of percentage prices: a `PricePercentage` in JSON.
    percentage jsonb,
    -- Of one period: what an invoice line can still hold the price of. Null when that is any.
    max_quantity numeric,
    -- [{currency, unit_amount, tiers, minimum_amount, maximum_amount, max_quantity}], decimals as strings ('' for none).
    currency_options jsonb NOT NULL DEFAULT '[]',
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT prices_version_taken UNIQUE (tenant_id, code, price_version),
    FOREIGN KEY (tenant_id, product_id) REFERENCES products,
    FOREIGN KEY (tenant_id, meter_id) REFERENCES meters,
    CHECK ((usage = 'metered') = (meter_id IS NOT NULL)),
    CHECK (num_nulls(interval_unit, interval_count) = CASE WHEN one_time THEN 2 ELSE 0 END),
    CHECK (usage = 'licensed' OR NOT one_time),
    CHECK ((model IN ('graduated', 'volume', 'matrix', 'percentage')) = (unit_amount IS NULL)),
    CHECK ((model = 'matrix') = (default_unit_amount IS NOT NULL)),
    CHECK ((model = 'percentage') = (percentage IS NOT NULL)),
    CHECK (minimum_amount <= maximum_amount)
);

CREATE TABLE plans (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deprecated')),
    -- To consumers, who may subscribe to it by themselves.
    offered boolean NOT NULL,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT plans_code_taken UNIQUE (tenant_id, code)
);

CREATE TABLE plan_items (
    tenant_id text NOT NULL,
    plan_id text NOT NULL,
    position integer NOT NULL,
    price_id text NOT NULL,
    quantity numeric(32, 12),
    PRIMARY KEY (tenant_id, plan_id, position),
    FOREIGN KEY (tenant_id, plan_id) REFERENCES plans,
    FOREIGN KEY (tenant_id, price_id) REFERENCES prices
);

CALL isolate_tenant('products');
CALL isolate_tenant('meters');
CALL isolate_tenant('prices');
CALL isolate_tenant('plans');
CALL isolate_tenant('plan_items');
GRANT SELECT, INSERT ON products, meters, prices, plan_items TO corebilling_app;
GRANT SELECT, INSERT, UPDATE ON plans TO corebilling_app;
GRANT SELECT ON products, meters, prices, plans, plan_items TO corebilling_worker;

-- migrate:down
DROP TABLE plan_items;
DROP TABLE plans;
DROP TABLE prices;
DROP TABLE meters;
DROP TABLE products;
