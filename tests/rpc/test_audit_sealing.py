"""Nothing stays out of the chain unseen: whatever the platform's own roles do to what seals it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from billing.audit.v1 import audit_pb2 as pb

from corebilling.errors import Aborted
from tests.rpc.test_audit import entries, verdict
from tests.support.catalog import new_customer
from tests.support.platform import Platform, second_process

FAR_AHEAD = "UPDATE audit_sealing SET xid = xid + 1000000"
TO_THE_NEWEST = (
    "UPDATE audit_sealing SET (epoch, xid, seq) = "
    "(SELECT epoch, xid, seq FROM audit_entries ORDER BY epoch DESC, xid DESC, seq DESC LIMIT 1)"
)

INSERT = (
    "INSERT INTO audit_entries (tenant_id, id, occurred_at, actor, action, request_id, "
    "correlation_id, trace_id, ip, user_agent, reason{columns}) "
    "VALUES ($1, 'aud_forged', $2, '', '', '', '', '', '', '', ''{values})"
)


@asynccontextmanager
async def as_role(platform: Platform, role: str) -> AsyncIterator[asyncpg.Connection]:
    """With the platform's own rights, which its login has."""
    connection = await asyncpg.connect(platform.database.url(role))
    try:
        await connection.execute(f"SET corebilling.tenant_id = '{platform.tenant_id}'")
        yield connection
    finally:
        await connection.close()


async def by_force(platform: Platform, sql: str) -> None:
    """As a superuser who switches triggers off."""
    connection = await asyncpg.connect(platform.database.admin_url)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(sql)
    finally:
        await connection.close()


async def seal(platform: Platform) -> int:
    return await platform.app.sealer.run_once()


async def position(platform: Platform) -> asyncpg.Record:
    (row,) = await platform.rows("SELECT epoch, xid, seq FROM audit_sealing")
    return row


@pytest.mark.parametrize(
    "move",
    [
        FAR_AHEAD,
        TO_THE_NEWEST,
        "UPDATE audit_sealing SET epoch = epoch + 1",
        "UPDATE audit_sealing SET xid = xid - 1",
        "UPDATE audit_sealing SET only_one = false",
        "DELETE FROM audit_sealing",
    ],
)
async def test_the_sealer_can_be_moved_past_nothing_that_is_not_sealed(platform: Platform, move: str) -> None:
    await new_customer(platform)
    await seal(platform)
    await new_customer(platform)
    before = await position(platform)
    async with as_role(platform, "corebilling_worker") as worker:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await worker.execute(move)
    assert await position(platform) == before
    assert await seal(platform) == 1
    assert (await verdict(platform))[0].sound


async def test_nothing_is_sealed_twice_when_its_place_is_forgotten(platform: Platform) -> None:
    await new_customer(platform)
    assert await seal(platform) > 0
    await by_force(platform, "UPDATE audit_sealing SET epoch = 0, xid = 0, seq = 0")
    assert await seal(platform) == 0
    await new_customer(platform)
    assert await seal(platform) == 1
    assert (await verdict(platform))[0].sound


async def test_an_entry_that_was_skipped_is_found_once_later_ones_are_sealed(platform: Platform) -> None:
    await new_customer(platform)
    skipped = (await entries(platform))[0].id
    await by_force(platform, TO_THE_NEWEST)
    await new_customer(platform)
    assert await seal(platform) == 1
    _, findings = await verdict(platform)
    assert (pb.AUDIT_FAULT_INSERTED, skipped) in {(found.fault, found.audit_id) for found in findings}


async def test_an_entry_that_nobody_seals_is_told_after_a_while(platform: Platform) -> None:
    await new_customer(platform)
    await seal(platform)
    await new_customer(platform)
    waiting = (await entries(platform))[0].id
    await by_force(platform, FAR_AHEAD)
    platform.clock.advance(minutes=5)
    assert (await verdict(platform))[0].sound
    platform.clock.advance(minutes=7)
    answer, (finding,) = await verdict(platform)
    assert (answer.sound, finding.fault, finding.audit_id) == (False, pb.AUDIT_FAULT_NOT_SEALED, waiting)


@pytest.mark.parametrize("column", ["epoch", "xid", "seq"])
async def test_the_platform_cannot_choose_an_entrys_place(platform: Platform, column: str) -> None:
    async with as_role(platform, "corebilling_app") as app:
        insert = INSERT.format(columns=f", {column}", values=", 1")
        if column == "seq":
            insert = insert.replace("VALUES", "OVERRIDING SYSTEM VALUE VALUES")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(insert, platform.tenant_id, platform.clock.now())


async def test_one_seals_while_another_is_at_it_and_nobody_waits(platform: Platform) -> None:
    await new_customer(platform)
    async with second_process(platform) as second:
        async with as_role(platform, "corebilling_worker") as worker, worker.transaction():
            await worker.execute("SELECT FROM audit_sealing FOR UPDATE")
            assert await second.app.sealer.run_once() == 0
        assert await second.app.sealer.run_once() > 0
        await new_customer(platform)
        assert await seal(platform) == 1
    assert (await verdict(platform))[0].sound


async def test_what_keeps_it_from_sealing_is_not_swallowed(platform: Platform) -> None:
    """A head that is in the way, as somebody with the worker's role can put there: `run` warns of it."""
    await new_customer(platform)
    length = len(await entries(platform))
    async with as_role(platform, "corebilling_worker") as worker:
        await worker.execute(
            "INSERT INTO audit_heads VALUES ($1, $2, '', now(), '', '')", platform.tenant_id, length
        )
    with pytest.raises(Aborted):
        await seal(platform)
    _, findings = await verdict(platform)
    assert pb.AUDIT_FAULT_NOT_SIGNED in {finding.fault for finding in findings}


async def write_at(platform: Platform, **shift: float) -> None:
    """An entry that says another time than now, as somebody with the application's role can write."""
    now = platform.clock.now()
    platform.clock.advance(**shift)
    said = platform.clock.now()
    platform.clock.advance(**{unit: -much for unit, much in shift.items()})
    assert platform.clock.now() == now
    async with as_role(platform, "corebilling_app") as app:
        await app.execute(INSERT.format(columns="", values=""), platform.tenant_id, said)


@pytest.mark.parametrize("minutes", [-11, 11, -600, 600])
async def test_an_entry_that_says_another_time_than_its_own_is_told(
    platform: Platform, minutes: float
) -> None:
    await new_customer(platform)
    await write_at(platform, minutes=minutes)
    await seal(platform)
    await new_customer(platform)
    await seal(platform)
    answer, (finding,) = await verdict(platform)
    assert (answer.sound, finding.fault, finding.audit_id) == (False, pb.AUDIT_FAULT_MISDATED, "aud_forged")


@pytest.mark.parametrize("minutes", [-9, 9])
async def test_clocks_may_differ_and_calls_may_take_their_time(platform: Platform, minutes: float) -> None:
    await new_customer(platform)
    await write_at(platform, minutes=minutes)
    await seal(platform)
    await new_customer(platform)
    await seal(platform)
    assert (await verdict(platform))[0].sound
