-- migrate:up
CREATE TABLE subscriptions (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    customer_id text NOT NULL,
    plan_id text,
    state text NOT NULL CHECK (state IN ('created', 'trialing', 'active', 'paused', 'canceled')),
    currency text NOT NULL,
    interval_unit text NOT NULL CHECK (interval_unit IN ('day', 'week', 'month', 'year')),
    interval_count integer NOT NULL CHECK (interval_count > 0),
    timezone text NOT NULL,
    -- Every billed period starts at the anchor plus a whole number of intervals; never chained.
    anchor_at timestamptz NOT NULL,
    start_at timestamptz NOT NULL,
    trial_end_at timestamptz,
    current_period_start timestamptz,
    current_period_end timestamptz,
    cancel_at_period_end boolean NOT NULL DEFAULT false,
    canceled_at timestamptz,
    ended_at timestamptz,
    paused_at timestamptz,
    -- When the scheduled change takes effect, if there is one.
    next_change_at timestamptz,
    -- What its periods come to at least, and when: `minimum_minor`, `starts_at`, `ends_at`, oldest first. Null: never
    -- anything. Kept in the row, so that it is read and written along with it.
    commitments jsonb,
    -- A list of `billing.subscription.v1.SpendThreshold` in JSON; null: none.
    spend_thresholds jsonb,
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    -- Rises when negotiated amounts change what its items take: nothing that `version` tells.
    terms_version bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES customers,
    FOREIGN KEY (tenant_id, plan_id) REFERENCES plans
);
CREATE INDEX subscriptions_by_customer ON subscriptions (tenant_id, customer_id);

-- What a subscription was made of, and when. A change ends items and adds others; none is ever rewritten, since
-- usage and charges name them.
CREATE TABLE subscription_items (
    tenant_id text NOT NULL,
    id text NOT NULL,
    subscription_id text NOT NULL,
    position integer NOT NULL,
    price_id text NOT NULL,
    -- Of metered prices: what usage names, and how its records become a quantity.
    meter_code text,
    aggregation text CHECK (
        aggregation IN ('sum', 'count', 'max', 'min', 'unique', 'latest', 'average', 'time_weighted')
    ),
    -- Of licensed prices.
    quantity numeric(32, 12),
    -- Copied from the price: charged once. Other items recur.
    one_time boolean NOT NULL DEFAULT false,
    -- Copied from the price, in the subscription's currency: of one period, what an invoice line can still hold.
    max_quantity numeric,
    -- There are or were negotiated amounts for it: of most items there are none, and none are looked for.
    overridden boolean NOT NULL DEFAULT false,
    -- Usage from `starts_at` on counts for the item, up to `ends_at`. These years stand for ever: an infinite time
    -- cannot be compared with others in the program.
    starts_at timestamptz NOT NULL DEFAULT '1000-01-01 00:00:00+00',
    ends_at timestamptz NOT NULL DEFAULT '9000-01-01 00:00:00+00',
    -- Its fee is due for that time. The same, but for a change that leaves the current period's fees as they are.
    billed_from timestamptz NOT NULL DEFAULT '1000-01-01 00:00:00+00',
    billed_until timestamptz NOT NULL DEFAULT '9000-01-01 00:00:00+00',
    -- Ended by the pause that the subscription is in. Times would not say: a change may bear the pause's own.
    paused boolean NOT NULL DEFAULT false,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions,
    FOREIGN KEY (tenant_id, price_id) REFERENCES prices
);
-- By their end, since what ended long ago is hardly ever looked for.
CREATE INDEX subscription_items_by_subscription ON subscription_items (tenant_id, subscription_id, ends_at);
CREATE INDEX subscription_items_held ON subscription_items (tenant_id, subscription_id)
    WHERE ends_at = '9000-01-01 00:00:00+00' OR paused;
CREATE UNIQUE INDEX subscription_items_one_per_meter ON subscription_items (tenant_id, subscription_id, meter_code)
    WHERE ends_at = '9000-01-01 00:00:00+00';

-- Changes of items: made, or waiting for their time.
CREATE TABLE subscription_changes (
    tenant_id text NOT NULL,
    id text NOT NULL,
    subscription_id text NOT NULL,
    state text NOT NULL CHECK (state IN ('scheduled', 'applied', 'canceled')),
    effective_at timestamptz NOT NULL,
    plan_id text,
    -- The items from then on: price_id, quantity ('' of metered ones), one_time.
    items jsonb NOT NULL,
    proration_behavior text NOT NULL CHECK (proration_behavior IN ('create_prorations', 'invoice_immediately', 'none')),
    -- Null: stays as it is.
    minimum_commitment_minor bigint,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions
);
CREATE UNIQUE INDEX subscription_changes_one_scheduled ON subscription_changes (tenant_id, subscription_id)
    WHERE state = 'scheduled';

-- The billing periods of a subscription, and the scheduler's queue: `due_at` is when the next step is
-- taken (start, period end, end of grace), in the tenant's time.
CREATE TABLE billing_cycles (
    tenant_id text NOT NULL REFERENCES tenants (id),
    id text NOT NULL,
    subscription_id text NOT NULL,
    customer_id text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    -- What a whole period would span: differs once a period is cut short, or invoiced in parts. A closing cycle,
    -- which bills late usage of a subscription that ended, has no length at all.
    full_period_start timestamptz NOT NULL,
    full_period_end timestamptz NOT NULL,
    state text NOT NULL CHECK (state IN ('scheduled', 'open', 'grace', 'closed', 'rated', 'invoiced')),
    trial boolean NOT NULL,
    -- Copied from the tenant, so that wall-clock work is found by one index range.
    sandbox boolean NOT NULL,
    due_at timestamptz,
    closed_at timestamptz,
    -- Written when it is rated: what its full period comes to at least, if it is the last part of it; 0 if not, or if
    -- nothing is committed any more. Null: nothing ever was.
    minimum_minor bigint,
    -- Above zero, it is no part of the period: it has no length, and bills the usage so far that came to this.
    threshold_minor bigint NOT NULL DEFAULT 0,
    -- Copied from the customer: it is invoiced together with the others that end at the same instant.
    consolidated boolean NOT NULL DEFAULT false,
    -- A step that failed for a fault of its own is set aside until then, by the wall clock, and holds up nobody.
    failed_attempts integer NOT NULL DEFAULT 0,
    retry_at timestamptz NOT NULL DEFAULT '1000-01-01 00:00:00+00',
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT billing_cycles_once UNIQUE (tenant_id, subscription_id, period_start, threshold_minor),
    FOREIGN KEY (tenant_id, subscription_id) REFERENCES subscriptions,
    CHECK (full_period_start <= period_start AND period_start <= period_end AND period_end <= full_period_end)
);
CREATE INDEX billing_cycles_consolidated ON billing_cycles (tenant_id, customer_id, period_end) WHERE consolidated;
-- One progressive invoice per threshold and period, whatever is redelivered, replayed or raced.
CREATE UNIQUE INDEX billing_cycles_once_per_threshold
    ON billing_cycles (tenant_id, subscription_id, full_period_start, threshold_minor) WHERE threshold_minor > 0;
CREATE INDEX billing_cycles_due_live ON billing_cycles (due_at) WHERE due_at IS NOT NULL AND NOT sandbox;
CREATE INDEX billing_cycles_due_sandbox ON billing_cycles (tenant_id, due_at) WHERE due_at IS NOT NULL AND sandbox;

CALL isolate_tenant('subscriptions');
CALL isolate_tenant('subscription_items');
CALL isolate_tenant('subscription_changes');
CALL isolate_tenant('billing_cycles');
CALL share_with_workers('billing_cycles', 'SELECT');
GRANT SELECT, INSERT, UPDATE ON subscriptions, subscription_items, subscription_changes, billing_cycles
    TO corebilling_app, corebilling_worker;

-- migrate:down
DROP TABLE billing_cycles;
DROP TABLE subscription_changes;
DROP TABLE subscription_items;
DROP TABLE subscriptions;
