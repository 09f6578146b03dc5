"""Old and new of every row that a call changes: recorded by triggers, for audited transactions alone."""

import asyncpg
import pytest

from corebilling.db.pool import Database
from corebilling.values.caller import Caller
from corebilling.values.ids import new_id
from tests.support.postgres import TestDatabase

TENANT = "ten_acme"
CALLER = Caller(TENANT, actor="test", role="owner", permissions=frozenset())

LOGS = "is a log itself, which is only ever added to"
BOOKS = "belongs to the books, which are only ever added to, or follow from them"
QUEUES = "is a queue: the entry says what was asked of it, and the row itself who gave it up, and why"
DERIVED = "follows from what is recorded, and is worked out again from it"

UNRECORDED = {
    "audit_changes": LOGS,
    "audit_entries": LOGS,
    "audit_heads": LOGS,
    "audit_seals": LOGS,
    "billing_events": LOGS,
    "usage_keys": LOGS,
    "usage_records": LOGS,
    # These bear who asked for it, and why.
    "usage_corrections": LOGS,
    "rerated_charges": LOGS,
    "replays": LOGS,
    "charges": BOOKS,
    "invoice_lines": BOOKS,
    "ledger_accounts": BOOKS,
    "ledger_entries": BOOKS,
    "ledger_journals": BOOKS,
    "revenue_deferrals": BOOKS,
    "revenue_recognitions": BOOKS,
    "event_handler_failures": QUEUES,
    "event_replays": QUEUES,
    "ledger_dues": QUEUES,
    "outbox_failures": QUEUES,
    "replay_runs_taken": QUEUES,
    "webhook_deliveries": QUEUES,
    "webhook_delivery_attempts": QUEUES,
    "webhook_dlq": QUEUES,
    "credit_note_counters": DERIVED,
    "invoice_counters": DERIVED,
    "invoice_cycles": DERIVED,
    "quota_counters": DERIVED,
    "quota_notices": DERIVED,
    "usage_rollups": DERIVED,
    "usage_totals": DERIVED,
    "request_keys": "holds answers, which are made of what is recorded",
    "tenant_keys": "holds a wrapped key that the platform makes by itself when it first needs one",
    "audit_sealing": "is written by workers alone",
    "event_batches": "is written by workers alone",
    "event_watermarks": "is written by workers alone",
    "outbox_shards": "is written by workers alone",
    "router_shards": "is written by workers alone",
    "workers": "is written by workers alone",
    "installation": "is written by migrations alone",
    "schema_migrations": "is written by migrations alone",
}


async def test_every_table_is_recorded_or_left_out_for_a_reason(database: TestDatabase) -> None:
    """A new table: `CALL audit_table(…)` in its migration, or a line above."""
    rows = await database.admin(
        """
        SELECT c.relname, EXISTS (
            SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'audited' AND t.tgenabled = 'O'
        ) AS recorded
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        """
    )
    assert {row["relname"] for row in rows if not row["recorded"]} == UNRECORDED.keys()


async def changes(database: TestDatabase) -> list[tuple[object, ...]]:
    rows = await database.admin(
        "SELECT resource_type, resource_id, operation, old::text, new::text FROM audit_changes ORDER BY seq"
    )
    return [tuple(row) for row in rows]


@pytest.fixture(autouse=True)
async def tenant(database: TestDatabase) -> None:
    await database.admin(
        "INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at) "
        "VALUES ($1, 'Acme', 'acme', 'live', 'USD', 'UTC', now())",
        TENANT,
    )


async def run(app_db: Database, *statements: str, audit_id: str = "aud_1") -> None:
    async with app_db.transaction(CALLER, audit_id=audit_id) as tx:
        for statement in statements:
            await tx.execute(statement)


INSERT_QUOTA = (
    "INSERT INTO quotas (tenant_id, id, scope, subject_id, meter_code, aggregation, period, limit_quantity, "
    f"enforcement, platform, created_at) VALUES ('{TENANT}', 'quo_1', 'customer', 'cus_1', '', 'sum', 'day', "
    "12345678901234567890.123456789012, 'soft', false, '2026-03-01T09:30:00.123456Z')"
)


async def test_an_insert_is_recorded_exactly_and_whole(database: TestDatabase, app_db: Database) -> None:
    await run(app_db, INSERT_QUOTA)
    ((kind, resource, operation, old, new),) = await changes(database)
    assert (kind, resource, operation, old) == ("quotas", "quo_1", "insert", None)
    assert '"limit_quantity": 12345678901234567890.123456789012' in str(new)
    assert '"created_at": "2026-03-01T09:30:00.123456+00:00"' in str(new)
    (row,) = await database.admin("SELECT tenant_id, audit_id FROM audit_changes")
    assert tuple(row) == (TENANT, "aud_1")


async def test_an_update_is_recorded_by_the_columns_that_differ(
    database: TestDatabase, app_db: Database
) -> None:
    await run(app_db, INSERT_QUOTA, audit_id="")
    await run(
        app_db,
        "UPDATE quotas SET limit_quantity = 7, version = 2, scope = 'customer'",
        "UPDATE quotas SET version = version",
    )
    assert await changes(database) == [
        (
            "quotas",
            "quo_1",
            "update",
            '{"version": 1, "limit_quantity": 12345678901234567890.123456789012}',
            '{"version": 2, "limit_quantity": 7.000000000000}',
        )
    ]


async def test_a_deleted_row_is_recorded_whole(database: TestDatabase, app_db: Database) -> None:
    await run(app_db, INSERT_QUOTA, audit_id="")
    await run(app_db, "DELETE FROM quotas")
    ((kind, _, operation, old, new),) = await changes(database)
    assert (kind, operation, new) == ("quotas", "delete", None)
    assert '"enforcement": "soft"' in str(old)


async def test_a_row_of_several_keys_is_told_by_all_of_them(database: TestDatabase, app_db: Database) -> None:
    insert = (
        "INSERT INTO features (tenant_id, subject_id, code, scope, meter_code, created_at) "
        f"VALUES ('{TENANT}', 'cus_1', 'ai', 'customer', '', now())"
    )
    await run(app_db, insert, audit_id="")
    await run(app_db, "UPDATE features SET removed = true")
    assert await changes(database) == [
        (
            "features",
            "cus_1",
            "update",
            '{"code": "ai", "removed": false}',
            '{"code": "ai", "removed": true}',
        )
    ]


async def test_of_personal_data_only_that_it_is_there_is_recorded(
    database: TestDatabase, app_db: Database
) -> None:
    insert = (
        "INSERT INTO customers "
        "(tenant_id, id, currency, timezone, name, email, address, created_at, updated_at) "
        f"VALUES ('{TENANT}', 'cus_1', 'USD', 'UTC', 'Ada', 'ada@example.com', "
        '\'{"line1": "1 Main St"}\', now(), now())'
    )
    await run(app_db, insert, "UPDATE customers SET name = 'Grace', email = '', version = 2")
    created, updated = await changes(database)
    for secret in ("Ada", "Grace", "example.com", "Main St"):
        assert secret not in str((created, updated))
    assert '"name": "***"' in str(created[4])
    assert '"address": "***"' in str(created[4])
    assert '"company": ""' in str(created[4])
    assert (updated[3], updated[4]) == (
        '{"name": "***", "email": "***", "version": 1}',
        '{"name": "***", "email": "", "version": 2}',
    )


async def test_what_no_call_asked_for_is_not_recorded(database: TestDatabase, app_db: Database) -> None:
    await run(app_db, INSERT_QUOTA)
    # The same connection: the setting ended with its transaction.
    await run(app_db, "UPDATE quotas SET version = 9", audit_id="")
    assert [operation for _, _, operation, *_ in await changes(database)] == ["insert"]


async def test_a_change_belongs_to_its_entrys_tenant(database: TestDatabase, app_db: Database) -> None:
    other = "ten_other"
    await database.admin(
        "INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at) "
        "VALUES ($1, 'Other', 'other', 'sandbox', 'USD', 'UTC', now())",
        other,
    )
    async with app_db.transaction(CALLER, audit_id="aud_1") as tx:
        await tx.switch_tenant(other)
        await tx.execute(
            "INSERT INTO test_clocks (tenant_id, now_at, target_at) VALUES ($1, now(), now())", other
        )
    ((kind, resource, *_),) = await changes(database)
    (row,) = await database.admin("SELECT tenant_id FROM audit_changes")
    assert (kind, resource, row["tenant_id"]) == ("test_clocks", other, TENANT)


@pytest.mark.parametrize("table", ["audit_entries", "audit_changes", "audit_seals", "audit_heads"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET tenant_id = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
async def test_what_is_written_cannot_be_changed_even_by_its_owner(
    database: TestDatabase, table: str, statement: str
) -> None:
    for role in ("corebilling_app", "corebilling_worker", "corebilling_owner"):
        connection = await asyncpg.connect(database.admin_url)
        try:
            await connection.execute(f"SET ROLE {role}")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(table))
        finally:
            await connection.close()


async def test_the_platform_cannot_make_up_a_change(database: TestDatabase, app_db: Database) -> None:
    async with app_db.connection() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "INSERT INTO audit_changes (tenant_id, audit_id, resource_type, resource_id, operation) "
                "VALUES ($1, $2, 'quotas', 'quo_1', 'delete')",
                TENANT,
                new_id("aud"),
            )
