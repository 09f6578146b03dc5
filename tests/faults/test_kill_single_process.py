"""kill -9 of the whole platform, again and again, while a month is imported and closed.

The receiver and the client live outside of it. What the client is told afterwards must be what an undisturbed
month would have told it: the same invoice to the cent, once, under one number, the ledger at zero, and each
webhook delivered under one event id.
"""

import asyncio
import csv
import os
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from billing.subscription.v1 import subscription_pb2

from corebilling.client import Client
from corebilling.commands.clock import advance_clock
from corebilling.commands.usage import upload_file
from corebilling.mapping import instant
from corebilling.usage_file import ColumnMapping
from examples import month
from examples.platform import Platform
from examples.receiver import Receiver
from tests.support.ports import free_port

KILLS_PER_MONTH = 5
# An attempt that died with its worker is made again when its lease has run out.
LONGEST_LEASE_S = 120.0
SETTINGS = {
    "WEBHOOK_BASE_DELAY_SECONDS": "0.2",
    "WEBHOOK_MAX_DELAY_SECONDS": "1",
    "WEBHOOK_MAX_RETRIES": "100",
    "WEBHOOK_HTTP_TIMEOUT_SECONDS": "1",
}
PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.DEADLINE_EXCEEDED)
SUBJECTS = ("invoice.generated", "invoice.payment.recorded", "invoice.paid")

T = TypeVar("T")


class Victim:
    """The platform, on one port however often it is started."""

    def __init__(self, data_dir: Path, chance: random.Random) -> None:
        self._data_dir = data_dir
        self._chance = chance
        self._port = free_port()
        self.kills = 0

    async def start(self) -> None:
        self.platform = await Platform.spawn(self._data_dir, SETTINGS, grpc_port=self._port)

    async def kill_during(self, work: Awaitable[None], kills: int, longest_s: float) -> None:
        """Kills and restarts it at random moments of the work; what is left of the kills is not made up."""
        task = asyncio.ensure_future(work)
        while kills and not task.done():
            await asyncio.wait([task], timeout=self._chance.uniform(0.01, longest_s))
            if task.done():
                break
            await self.platform.kill()
            self.kills += 1
            kills -= 1
            await self.start()
        await task


async def persist(call: Callable[[], Awaitable[T]]) -> T:
    """As a client would: the same request again until it is answered."""
    while True:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in PASSING:
                raise
            await asyncio.sleep(0.05)


def expected_total_minor(usage: month.Usage) -> int:
    """The invoice worked out by hand from the file."""
    with usage.file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    total = Decimal("20.00")
    for meter, column in month.METERS.items():
        quantity = sum(Decimal(row[column]) for row in rows)
        amount = quantity * Decimal(month.PER_MILLION[meter]) / 1_000_000
        total += amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return int(total * 100)


async def import_usage(
    client: Client, tenant: month.Tenant, subscription_id: str, usage: month.Usage
) -> None:
    mapping = ColumnMapping(subscription_id, "TIMESTAMP", tuple(month.METERS.items()))
    await persist(lambda: upload_file(client, tenant.id, usage.file, mapping, "victim"))


async def close_month(
    client: Client, tenant: month.Tenant, subscription: subscription_pb2.Subscription
) -> None:
    end = instant(subscription.current_period_end) + month.GRACE
    await persist(lambda: advance_clock(client, tenant.id, end))
    invoices = await persist(lambda: list_invoices(client))
    for invoice in invoices:
        if invoice.amount_due_minor:
            await persist(partial(month.pay, client, invoice))


async def list_invoices(client: Client) -> list[invoice_pb2.Invoice]:
    answer = await client.stub(InvoiceServiceStub).ListInvoices(invoice_service_pb2.ListInvoicesRequest())
    return list(answer.invoices)


async def play_month(victim: Victim, usage: month.Usage, number: int) -> None:
    """One tenant's month under fire, and the check of what came of it."""
    async with Receiver() as receiver:
        async with victim.platform.client() as operator:
            tenant = await month.create_tenant(operator, usage.first, name=f"month-{number}")
        async with Client(victim.platform.grpc, tenant.api_key) as client:
            subscription = await month.subscribe(client)
            await month.create_webhook(client, receiver)
            await advance_clock(client, tenant.id, usage.last + timedelta(seconds=1))
            importing = import_usage(client, tenant, subscription.id, usage)
            before = victim.kills
            await victim.kill_during(importing, KILLS_PER_MONTH // 2, longest_s=0.25)
            closing = close_month(client, tenant, subscription)
            await victim.kill_during(closing, KILLS_PER_MONTH - (victim.kills - before), longest_s=0.5)

            (invoice,) = await list_invoices(client)
            assert invoice.total_minor == expected_total_minor(usage)
            assert (invoice.state, invoice.amount_due_minor) == (invoice_pb2.INVOICE_STATE_PAID, 0)
            assert invoice.number.endswith("-000001")
            balance = await client.stub(LedgerServiceStub).GetTrialBalance(
                ledger_service_pb2.GetTrialBalanceRequest()
            )
            assert balance.balanced
            assert sum(row.balance_minor for row in balance.balances) == 0
            for subject in SUBJECTS:
                assert await receiver.wait_for(subject, longest_s=LONGEST_LEASE_S), subject
                arrived = zip(receiver.subjects, receiver.event_ids, strict=True)
                assert len({event_id for name, event_id in arrived if name == subject}) == 1


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="cb-kill-"))
    path.chmod(0o711)
    monkeypatch.setenv("XDG_STATE_HOME", str(path / "state"))
    yield path
    shutil.rmtree(path)


async def kill(folder: Path, kills: int) -> None:
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(10**6)))
    print(f"SEED={seed}")
    sample = folder / "sample.csv"
    month.write_sample(sample)
    usage = month.read_usage(sample)
    victim = Victim(folder / "platform", random.Random(seed))
    await victim.start()
    number = 0
    while victim.kills < kills:
        number += 1
        await play_month(victim, usage, number)
        print(f"month {number}: {victim.kills} kills so far")
    await victim.platform.stop()


async def test_killing_the_platform_five_times_changes_nothing(folder: Path):
    await kill(folder, kills=5)


@pytest.mark.long
async def test_killing_the_platform_again_and_again_changes_nothing(folder: Path):
    await kill(folder, kills=50 if os.environ.get("LONG") else 15)
