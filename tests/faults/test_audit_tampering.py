"""Whoever owns the database can change the audit log, but not unseen: random ways, each of them detected.

SEED=n repeats a run; each way is printed with the seed when it goes unseen.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import asyncpg
import pytest
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub

from corebilling.errors import Aborted
from corebilling.values.ids import new_id
from tests.faults.tampering import TABLES, WAYS, Forger, truncate_with_announcements
from tests.rpc.test_audit import verdict
from tests.support.platform import Platform

SEALINGS = 3
CALLS_PER_SEALING = 4


async def call(platform: Platform, key: str) -> None:
    await platform.stub(CustomerServiceStub, key=key).CreateCustomer(
        customer_service_pb2.CreateCustomerRequest(
            request_id=new_id("req"), details=customer_service_pb2.CustomerDetails(name="Ada")
        )
    )


@asynccontextmanager
async def vandal(platform: Platform) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection: no trigger fires, and everything is as it was in the end."""
    connection = await asyncpg.connect(platform.database.admin_url)
    try:
        await connection.execute("SET session_replication_role = replica")
        yield connection
    finally:
        await connection.close()


async def keep(connection: asyncpg.Connection) -> None:
    for table in TABLES:
        await connection.execute(f"CREATE UNLOGGED TABLE kept_{table} AS TABLE {table}")


async def restore(connection: asyncpg.Connection) -> None:
    for table in TABLES:
        await connection.execute(
            f"DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE kept_{table}"
        )


async def sound(platform: Platform, keys: dict[str, str], **kept: object) -> bool:
    return all([(await verdict(platform, key, **kept))[0].sound for key in keys.values()])


async def tamper(platform: Platform, times: int, seed: int) -> None:
    print(f"SEED={seed}")
    chance = Random(seed)
    other_id, other_key = await platform.new_tenant("other")
    keys = {platform.tenant_id: platform.tenant_key, other_id: other_key}
    for _ in range(SEALINGS):
        for key in keys.values():
            for _ in range(CALLS_PER_SEALING):
                await call(platform, key)
        await platform.app.sealer.run_once()
    assert await sound(platform, keys)
    lengths = {tenant_id: (await verdict(platform, key))[0] for tenant_id, key in keys.items()}
    async with vandal(platform) as connection:
        await keep(connection)
        for number in range(times):
            tenant_id, other = chance.sample(sorted(keys), 2)
            way = WAYS[number % len(WAYS)]
            head = lengths[tenant_id].head
            await way(Forger(connection, chance, tenant_id, other, head.count))
            # As a rule nobody looks before the log has gone on.
            if goes_on := chance.random() < 0.3:
                await call(platform, keys[tenant_id])
                # Where the next seal or head should come, one may stand already.
                with suppress(Aborted):
                    await platform.app.sealer.run_once()
            kept = {"kept_count": head.count, "kept_hash": head.hash}
            only = {tenant_id: keys[tenant_id]}
            seen = (
                not await sound(platform, only, **kept)
                if way is truncate_with_announcements
                else not await sound(platform, keys)
            )
            assert seen, f"SEED={seed}: {way.__name__}, number {number}, went unseen (goes on: {goes_on})"
            await restore(connection)
        assert await sound(platform, keys), "everything was restored"


async def test_each_of_many_tamperings_is_seen(platform: Platform) -> None:
    await tamper(platform, 3 * len(WAYS), seed=5)


@pytest.mark.long
async def test_each_of_a_thousand_tamperings_is_seen(platform: Platform) -> None:
    await tamper(platform, 1_000, seed=int(os.environ.get("SEED") or Random().randrange(2**31)))
