"""Every named query without its tenant's predicate: the database's own wall lets nothing through."""

from collections.abc import AsyncIterator

import pytest

from corebilling.db.embedded import SUPERUSER, EmbeddedPostgres
from corebilling.db.pool import Database
from tests.isolation.quiet import quiet
from tests.support.platform import running_platform
from tests.support.postgres import TestDatabase, new_database
from tests.support.probing import Prober, probing
from tests.support.requests.calling import METHODS, Caller, with_key
from tests.support.requests.making import Requests
from tests.support.requests.world import SETTINGS, empty_world, fill, make_failing

# The look that tells whose a key is: a function of the owner's, for the key's id alone.
BEFORE_A_TENANT_IS_KNOWN = {"access.find_credential"}

# They read or move rows of the queues (events, deliveries, cycles, what failed, what is to be
# sealed), shared with workers: without their predicate these see the queue's rows of all
# tenants. The app's role does not.
OF_QUEUES = {
    "audit.list_audit_changes",
    "audit.list_audit_entries",
    "audit.list_sealing_states",
    "event.find_event",
    "event.list_correlated_events",
    "event.list_event_batches",
    "event.list_event_states",
    "event.list_events",
    "event.list_new_events",
    "inbox.delete_handler_failure",
    "inbox.find_event_at",
    "inbox.get_tenant_pending",
    "outbox.list_pending_events",
    "replay.count_matching_events",
    "replay.get_stretch_of_events",
    "replay.insert_replay_runs",
    "replay.list_matching_events",
    "schedule.find_billing_cycle",
    "schedule.find_newest_cycle",
    "schedule.find_next_due",
    "schedule.find_running_cycle",
    "schedule.list_billing_cycles",
    "schedule.list_cycles_to_close",
    "schedule.list_due_sandbox_cycles",
    "webhook.claim_deliveries",
    "webhook.find_delivery",
    "webhook.insert_deliveries",
    "webhook.insert_delivery",
    "webhook.list_attempts",
    "webhook.list_claimed_events",
    "webhook.list_dead_letters",
    "webhook.list_deliveries",
    "webhook.list_due_lanes",
    "webhook.record_attempts",
}

# Nobody asks them in the life of this tenant: faults of workers and of the bus, other kinds of meters and
# prices, yearly fees, thresholds that are passed, expiry, people with tokens, the sealer.
NOT_ASKED = {
    "audit.list_announced_heads",
    "audit.list_audit_entries_by_id",
    "audit.list_seals_at",
    "audit.list_seals_of_entries",
    "customer.find_obstacle",
    "customer.keep_bill_to",
    "audit.find_audit_head",
    "audit.get_audit_extent",
    "audit.insert_audit_seals",
    "audit.list_audit_heads",
    "audit.list_audit_seals",
    "audit.list_entries_to_seal",
    "audit.list_heads_at",
    "audit.list_last_seals",
    "customer.erase_exemption_reference",
    "access.find_own_customer",
    "access.has_usable_key",
    "access.list_owners",
    "catalog.list_plans_of_account",
    "credit.mark_credits_expired",
    "discount.mark_discounts",
    "event.find_oldest_in_stretch",
    "event.list_tenant_events_between",
    "inbox.find_due_failure",
    "inbox.insert_handler_failure",
    "inbox.list_events_between",
    "inbox.list_parked_keys",
    "inbox.list_watermarks",
    "inbox.mark_handler_failure",
    "inbox.mark_next_unblocked",
    "invoice.claim_consolidated_cycles",
    "invoice.insert_invoice_cycles",
    "invoice.list_committed_periods",
    "invoice.list_invoiced_periods",
    "ledger.delete_dues",
    "ledger.insert_deferrals",
    "ledger.insert_recognitions",
    "ledger.list_deferrals_by_line",
    "ledger.mark_deferrals",
    "ledger.upsert_dues",
    "metering.insert_unused_totals",
    "metering.list_cell_quantities",
    "metering.list_held_levels",
    "metering.list_latest_quantities",
    "metering.list_transactions",
    "metering.list_unique_counts",
    "metering.mark_trial_levels_rated",
    "outbox.delete_outbox_failure",
    "outbox.get_backlog",
    "outbox.insert_new_events",
    "outbox.insert_outbox_failure",
    "outbox.list_due_outbox_failures",
    "outbox.mark_outbox_failure",
    "price_override.list_price_overrides_by_ids",
    "quota.count_use",
    "quota.insert_notices",
    "quota.list_counters",
    "quota.list_use_of_hours",
    "rating.find_full_period",
    "rating.get_billed_usage_amount",
    "rating.list_priced_usage",
    "rating.mark_cycle_minimums",
    "rating.mark_usage_unchanged",
    "replay.get_stretch_of_correlation",
    "rerating.list_billed_lines",
    "rerating.list_line_corrections",
    "schedule.get_reached_threshold",
    "schedule.insert_progressive_cycle",
    "schedule.list_dues_to_settle",
    "schedule.list_pending_cycles",
    "schedule.mark_cycle_failed",
    "schedule.mark_due_failed",
    "schedule.mark_test_clock_failed",
    "subscription.find_scheduled_change",
    "subscription.has_usage_since",
    "subscription.list_subscription_currencies",
    "subscription.mark_scheduled_change",
    "tax.delete_tax_exemption",
    "tax.find_tax_rate",
    "tax.upsert_tax_terms",
    "tenant.insert_tenant",
    "tenant.insert_test_clock",
    "tenant.list_tenants",
    "usage.list_repeated_usage",
    "usage.mark_usage_excluded",
    "usage_correction.mark_filtered_usage_corrected",
    "webhook.bury_deliveries",
    "webhook.count_pending_deliveries",
    "webhook.mark_webhook_answering",
    "webhook.mark_webhook_failed",
}

# The control reaches nothing either: the tenant has none of it by then, the answer is the same with more
# tenants (newest version, counts up to a bound), or workers ask it for all tenants at once anyway.
NOTHING_TO_REACH = {
    "catalog.get_last_price_version",
    "credit.list_credits_by_ids",
    "dead_letter.mark_dispatch_dead_letters",
    "dead_letter.mark_handler_dead_letters",
    "discount.list_restorable_discounts",
    "event.get_next_version",
    "event.list_handler_failures",
    "event.list_webhook_outcomes",
    "inbox.list_due_handler_failures",
    "inbox.list_due_replays",
    "invoice.copy_invoice_cycles",
    "invoice.list_credit_notes_of_invoice",
    "invoice.list_priced_together",
    "invoice.void_invoice_cycles",
    "ledger.list_deferrals",
    "ledger.list_deferrals_of_invoice",
    "ledger.list_recognitions",
    "price_override.count_price_overrides",
    "price_override.has_items_beyond",
    "price_override.list_overrides_of_subscriptions",
    "price_override.mark_items_overridden",
    "price_override.replace_price_overrides",
    "replay.find_last_replay",
    "replay.find_replay",
    "replay.find_stretch_end",
    "replay.list_run_standings",
    "replay.revive_dead_letters",
    "request_key.open_request",
    "schedule.find_test_clock",
    "schedule.insert_closing_cycles",
    "schedule.list_busy_clocks",
    "schedule.list_due_live_cycles",
    "schedule.list_live_dues",
    "schedule.list_sandbox_dues",
    "subscription.end_subscription_fees",
    "subscription.end_usage_totals",
    "subscription.get_item_changes",
    "subscription.mark_item_positions",
    "tax.find_tax_exemption",
    "tax.find_tax_terms",
    "tax.list_tax_rates_by_ids",
    "usage_correction.find_usage_correction",
    "webhook.mark_oldest_delivery_urgent",
}


@pytest.fixture(scope="module")
async def prober(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[Prober]:
    """What was found while a tenant did everything there is."""
    with pytest.MonkeyPatch.context() as patch:
        async with new_database(postgres, migrated_template) as database:
            with quiet():
                found = await live(database, patch)
            yield found


async def live(database: TestDatabase, patch: pytest.MonkeyPatch) -> Prober:
    rows = await database.admin(
        "SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND a.attname = 'tenant_id'"
    )
    policies = await database.admin("SELECT tablename FROM pg_policies WHERE policyname = 'worker'")
    views = await database.admin("SELECT view_name, table_name FROM information_schema.view_table_usage")
    tables = {row["relname"]: "tenant_id" for row in rows} | {"tenants": "id"}
    shared = {row["tablename"] for row in policies}
    shared |= {row["view_name"] for row in views if row["table_name"] in shared}
    prober = Prober(tables, {row["view_name"] for row in views}, shared)
    patch.setattr(TestDatabase, "url", lambda self, _: self.server.url(SUPERUSER, self.name))
    patch.setattr(Database, "assert_least_privilege", nothing)
    with probing(prober, patch):
        async with running_platform(database, **SETTINGS) as platform:
            await make_failing(platform)
            caller = Caller(platform.app.grpc_address)
            prober.stranger, _ = await platform.new_tenant("heron", clock_time=platform.clock.now())
            world = await empty_world(platform, caller, "kestrel")
            prober.victim = world.tenant_id
            await fill(world)
            requests = Requests(world, await world.now())
            for method in METHODS:
                if method.tenant_scoped:
                    answer = await caller.call(
                        method, await requests.valid(method), with_key(world.owner_key)
                    )
                    assert answer.code == "OK", (method.name, answer)
            await platform.drain()
            await caller.close()
    return prober


async def nothing(_: Database) -> None:
    """The superuser's login is what the control needs."""


def test_nothing_of_the_victims_is_read_or_changed(prober: Prober) -> None:
    problems = [
        f"{verdict.query.name}: {problem}"
        for verdict in prober.verdicts.values()
        for problem in verdict.problems
        if verdict.query.name not in BEFORE_A_TENANT_IS_KNOWN
    ]
    assert not problems, "\n".join(problems)


def test_the_same_attempts_succeed_past_the_policies(prober: Prober) -> None:
    """Of every query but those that are listed: a new one is proven, or is put there by somebody."""
    verdicts = prober.verdicts.values()
    tried = {verdict.query.name for verdict in verdicts if verdict.tries}
    proven = {verdict.query.name for verdict in verdicts if verdict.proven}
    print(f"{len(verdicts)} queries concern tenants: {len(tried)} tried, {len(proven)} proven by the control")
    unproven = {verdict.query.name for verdict in verdicts} - proven
    print("no longer to be listed:", sorted((NOT_ASKED | NOTHING_TO_REACH) - unproven))
    unexplained = sorted(unproven - NOT_ASKED - NOTHING_TO_REACH)
    assert not unexplained, unexplained


def test_workers_cross_tenants_on_queues_alone(prober: Prober) -> None:
    crossing = {verdict.query.name for verdict in prober.verdicts.values() if verdict.crosses}
    assert crossing - OF_QUEUES == set()
