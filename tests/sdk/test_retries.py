"""What becomes of calls when the network or the server fails: one effect each, within the deadline."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from billing_sdk import (
    Billing,
    BillingError,
    DeadlineExceeded,
    ErrorReason,
    ResourceExhausted,
    Retry,
    Unavailable,
)
from billing_sdk.customer import CustomerDetails

from tests.support.platform import Platform, running_platform
from tests.support.ports import free_port
from tests.support.postgres import TestDatabase
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

ADA = CustomerDetails(name="Ada")
# Of a call that was told no deadline: 30 s.
WELL_BEFORE_THE_DEFAULT_S = 20
IMPATIENT = Retry(first_backoff_s=0.01, max_backoff_s=0.05, attempt_timeout_s=0.5)


@pytest.fixture
async def proxy(platform: Platform) -> AsyncIterator[TcpProxy]:
    async with tcp_proxy(platform.app.grpc_address) as opened:
        yield opened


async def failed(call: Any) -> BillingError:
    with pytest.raises(BillingError) as caught:
        await call
    return caught.value


async def effects(platform: Platform) -> tuple[int, int]:
    """Customers, and audit entries of their creation."""
    [row] = await platform.rows(
        "SELECT (SELECT count(*) FROM customers) AS customers, "
        "(SELECT count(*) FROM request_keys WHERE method LIKE '%CreateCustomer') AS requests"
    )
    return row["customers"], row["requests"]


async def test_a_change_whose_answer_got_lost_is_made_once(platform: Platform, proxy: TcpProxy):
    async with Billing(proxy.address, platform.tenant_key, retry=IMPATIENT) as billing:
        await billing.customer.create_customer(details=ADA)  # opens the connection
        proxy.answering = False
        call = asyncio.create_task(billing.customer.create_customer(details=ADA))
        while await effects(platform) != (2, 2):  # noqa: ASYNC110 (the database tells nobody)
            await asyncio.sleep(0.01)
        proxy.cut()
        proxy.answering = True
        created = await call
        everyone = {customer.id async for customer in billing.customer.iter_customers()}
    assert created.id in everyone
    assert await effects(platform) == (2, 2)
    assert proxy.connections > 1


async def test_an_answer_that_never_comes_is_asked_for_again(platform: Platform, proxy: TcpProxy):
    """The connection stands, and nothing says that the answer is lost: the attempt has a deadline."""
    async with Billing(proxy.address, platform.tenant_key, retry=IMPATIENT) as billing:
        proxy.answering = False
        call = asyncio.create_task(billing.customer.create_customer(details=ADA))
        await proxy.answered.wait()
        await asyncio.sleep(IMPATIENT.attempt_timeout_s or 0)
        proxy.cut()
        proxy.answering = True
        await call
    assert await effects(platform) == (1, 1)


async def test_calls_wait_while_a_server_restarts(platform: Platform, proxy: TcpProxy):
    async with Billing(proxy.address, platform.tenant_key) as billing:
        await billing.customer.create_customer(details=ADA)
        await proxy.stop()
        calls = [asyncio.create_task(billing.customer.create_customer(details=ADA)) for _ in range(5)]
        _, waiting = await asyncio.wait(calls, timeout=0.3)
        assert len(waiting) == 5
        await proxy.start()
        await asyncio.gather(*calls)
    assert await effects(platform) == (6, 6)


async def test_connections_that_break_again_and_again_lose_and_double_nothing(
    platform: Platform, proxy: TcpProxy
):
    async with Billing(proxy.address, platform.tenant_key, retry=IMPATIENT) as billing:

        async def create(number: int) -> None:
            await billing.customer.create_customer(details=ADA, external_id=f"c-{number}")

        async def disturb() -> None:
            for _ in range(6):
                proxy.answered.clear()
                await proxy.answered.wait()
                await asyncio.sleep(0.02)
                proxy.cut()

        disturbing = asyncio.create_task(disturb())
        await asyncio.gather(*(create(number) for number in range(40)))
        disturbing.cancel()
    assert await effects(platform) == (40, 40)
    assert proxy.connections > 1


async def test_nobody_there_is_an_error_within_the_deadline(platform: Platform):
    async with (
        asyncio.timeout(WELL_BEFORE_THE_DEFAULT_S),
        Billing(f"127.0.0.1:{free_port()}", "key", timeout_s=0.6) as billing,
    ):
        error = await failed(billing.customer.get_customer(customer_id="c"))
    assert isinstance(error, Unavailable)
    assert error.reason is ErrorReason.UNSPECIFIED
    assert error.attempts > 1
    assert error.correlation_id.startswith("cor_")


async def test_a_server_that_says_nothing_is_an_error_at_the_deadline(platform: Platform, proxy: TcpProxy):
    proxy.answering = False
    async with (
        asyncio.timeout(WELL_BEFORE_THE_DEFAULT_S),
        Billing(proxy.address, "key", timeout_s=0.5) as billing,
    ):
        error = await failed(billing.customer.get_customer(customer_id="c"))
        assert isinstance(error, DeadlineExceeded | Unavailable)

        patient = billing.with_options(timeout_s=0.9, retry=IMPATIENT)
        error = await failed(patient.customer.get_customer(customer_id="c"))
        assert error.attempts > 1


async def test_without_retries_the_first_failure_counts(platform: Platform):
    once = Retry(max_attempts=1)
    async with Billing(f"127.0.0.1:{free_port()}", "key", retry=once) as billing:
        error = await failed(billing.customer.get_customer(customer_id="c"))
    assert isinstance(error, Unavailable)
    assert error.attempts == 1


class Occupied:
    """Takes the one place of a server: a call that waits for a table which somebody else has locked."""

    def __init__(self, billing: Billing, locking: asyncpg.Connection) -> None:
        self._locking = locking
        self._call = asyncio.create_task(billing.customer.list_customers())

    @staticmethod
    async def take(database: TestDatabase, billing: Billing) -> "Occupied":
        locking = await asyncpg.connect(database.admin_url)
        await locking.execute("BEGIN; LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        occupied = Occupied(billing, locking)
        while not await locking.fetchval(
            "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE NOT l.granted AND d.datname = current_database() AND l.relation = 'customers'::regclass)"
        ):
            continue
        return occupied

    async def leave(self) -> None:
        await self._locking.execute("ROLLBACK")
        await self._locking.close()
        await self._call


async def test_an_overloaded_server_is_asked_again_when_it_says(database: TestDatabase):
    async with (
        running_platform(database, grpc_max_concurrent_calls=1) as platform,
        Billing(platform.app.grpc_address, platform.tenant_key) as billing,
    ):
        occupied = await Occupied.take(database, billing)
        hasty = billing.with_options(timeout_s=0.9)
        refused = await failed(hasty.customer.get_customer(customer_id="c"))
        assert isinstance(refused, ResourceExhausted)
        assert refused.reason is ErrorReason.OVERLOADED
        # What the server asks for would end after the deadline: no use in waiting.
        assert (refused.retry_after_s, refused.attempts) == (1.0, 1)

        started = time.monotonic()
        call = asyncio.create_task(billing.customer.create_customer(details=ADA))
        await asyncio.wait([call], timeout=0.2)
        await occupied.leave()
        await call
        # No sooner than it was told: that a machine is slow changes nothing about it.
        assert time.monotonic() - started >= 1.0
