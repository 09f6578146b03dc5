"""The second wall: what the roles see when a query forgets its tenant."""

import asyncpg
import pytest

from tests.support.catalog import new_price, new_product, subscribe
from tests.support.platform import Platform

QUEUES = {
    "audit_changes",
    "audit_entries",
    "audit_seals",
    "billing_cycles",
    "billing_events",
    "event_handler_failures",
    "outbox_failures",
    "test_clocks",
    "webhook_deliveries",
    "webhook_delivery_attempts",
    "webhook_dlq",
}
SHARED = {
    "audit_sealing",
    "event_batches",
    "event_watermarks",
    "installation",
    "outbox_shards",
    "router_shards",
    "schema_migrations",
    "workers",
}


async def tenant_tables(platform: Platform) -> list[str]:
    rows = await platform.rows(
        "SELECT relname FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    return sorted({row["relname"] for row in rows} - SHARED)


async def filled(platform: Platform) -> None:
    price = await new_price(platform, (await new_product(platform)).id, "fee")
    await subscribe(platform, price)
    await platform.pass_time(days=40)


async def test_every_tenants_table_is_protected_even_from_its_owner(platform: Platform):
    rows = await platform.rows(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = ANY ($1)",
        await tenant_tables(platform),
    )
    assert len(rows) > 20
    assert [
        row["relname"] for row in rows if not (row["relrowsecurity"] and row["relforcerowsecurity"])
    ] == []


@pytest.mark.parametrize("role", ["corebilling_app", "corebilling_worker"])
async def test_without_a_tenant_or_with_another_one_nothing_is_seen(platform: Platform, role: str):
    await filled(platform)
    other_id, _ = await platform.new_tenant("other")
    connection = await asyncpg.connect(platform.database.url(role))
    try:
        for setting in ("", other_id):
            await connection.execute("SELECT set_config('corebilling.tenant_id', $1, false)", setting)
            for table in await tenant_tables(platform):
                if role == "corebilling_worker" and table in QUEUES:
                    continue
                owner = "id" if table == "tenants" else "tenant_id"
                try:
                    seen = await connection.fetch(f"SELECT {owner} AS owner FROM {table}")
                except asyncpg.InsufficientPrivilegeError:
                    continue
                assert {row["owner"] for row in seen} <= {other_id}, table
    finally:
        await connection.close()


async def test_rows_of_another_tenant_cannot_be_written(platform: Platform):
    other_id, _ = await platform.new_tenant("other")
    connection = await asyncpg.connect(platform.database.url("corebilling_app"))
    try:
        await connection.execute("SELECT set_config('corebilling.tenant_id', $1, false)", other_id)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(
                "INSERT INTO products (tenant_id, id, code, name, created_at) "
                "VALUES ($1, 'p', 'p', 'p', now())",
                platform.tenant_id,
            )
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM ledger_entries")
    finally:
        await connection.close()
