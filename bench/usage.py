"""How fast usage comes in over gRPC, as a share of the bare COPY of the same rows (B0).

The server under test runs in a process of its own, with everything a call passes through. Only ratios within
one run mean anything.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from google.protobuf.timestamp_pb2 import Timestamp

from bench.platform import TENANT, BenchDatabase, NewDatabase, bare_program, running_api
from bench.report import Row, console, median_ratio, rates
from corebilling.client import Client

BATCH_RECORDS = 1000
BATCHES = 200
IN_FLIGHT = 4
ROUNDS = 3
FILL_RECORDS = 20_000_000
SUBSCRIPTIONS = 8

Keys = Callable[[int], str]


def time_ordered(milliseconds: int) -> str:
    bits = random.getrandbits(74)
    return _uuid(milliseconds << 80 | 7 << 76 | (bits >> 62) << 64 | 2 << 62 | bits & (1 << 62) - 1)


def any_order(_: int) -> str:
    return _uuid(random.getrandbits(128))


def _uuid(value: int) -> str:
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def requests(first_ms: int, keys: Keys, mixed: bool) -> list[rpc.BatchReportUsageRequest]:
    """Messages of one customer each, or `mixed`: of all, so that each waits for the one before it."""

    def record(number: int) -> usage_pb2.UsageRecord:
        at_ms = first_ms + number
        customer = (number if mixed else number // BATCH_RECORDS) % SUBSCRIPTIONS
        return usage_pb2.UsageRecord(
            idempotency_key=keys(at_ms),
            subscription_id=f"sub_{customer:026d}",
            meter_code="calls",
            quantity=str(random.randrange(1, 5000)),
            recorded_at=Timestamp(seconds=at_ms // 1000, nanos=at_ms % 1000 * 1_000_000),
        )

    return [
        rpc.BatchReportUsageRequest(
            records=[record(batch * BATCH_RECORDS + number) for number in range(BATCH_RECORDS)]
        )
        for batch in range(BATCHES)
    ]


async def baseline(admin: asyncpg.Connection, batches: Sequence[rpc.BatchReportUsageRequest]) -> float:
    """B0: records per second of COPY into a bare table, one connection."""
    await admin.execute(
        "DROP TABLE IF EXISTS bare; CREATE TABLE bare "
        "(tenant_id text, key uuid, subscription_id text, recorded_at timestamptz, quantity numeric)"
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    rows = [
        [
            (
                TENANT,
                record.idempotency_key,
                record.subscription_id,
                epoch + timedelta(seconds=record.recorded_at.seconds),
                Decimal(record.quantity),
            )
            for record in batch.records
        ]
        for batch in batches
    ]
    started = time.perf_counter()
    for batch in rows:
        await admin.copy_records_to_table("bare", records=batch)
    return BATCHES * BATCH_RECORDS / (time.perf_counter() - started)


async def send(stub: Any, batches: Sequence[rpc.BatchReportUsageRequest]) -> float:
    """Records per second over gRPC, a few calls at a time."""
    waiting = iter(batches)

    async def worker() -> None:
        for batch in waiting:
            answer = await stub.BatchReportUsage(batch)
            assert answer.accepted == BATCH_RECORDS, answer

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return BATCHES * BATCH_RECORDS / (time.perf_counter() - started)


async def rounds(
    admin: asyncpg.Connection, database: BenchDatabase, keys: Keys, mixed: bool
) -> list[tuple[float, float]]:
    """Rates over gRPC, each with the B0 measured right before it."""
    pairs = []
    now_ms = time.time_ns() // 1_000_000 - 86_400_000
    async with (
        running_api(database) as api,
        Client(api.address, await api.tenant_key(TENANT)) as client,
    ):
        stub = client.stub(UsageServiceStub)
        # Connections, partitions and plans.
        await send(stub, requests(now_ms, keys, mixed))
        for round_number in range(1, ROUNDS + 1):
            batches = requests(now_ms + round_number * BATCHES * BATCH_RECORDS, keys, mixed)
            with bare_program():
                bare = await baseline(admin, batches)
            pairs.append((await send(stub, batches), bare))
            console.print(f"usage: {pairs[-1][0]:,.0f} records/s, COPY {bare:,.0f}")
    return pairs


async def fill(admin: asyncpg.Connection, ordered: bool) -> None:
    """20 million accepted records of the last four weeks; without the index meanwhile, to save an hour."""
    await admin.execute("ALTER TABLE usage_keys DROP CONSTRAINT usage_keys_pkey")
    first = datetime.now(UTC) - timedelta(days=28)
    step = timedelta(days=26) / FILL_RECORDS
    time_bits = (
        "lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)"
    )
    key = f"({time_bits} || '8' || substr(md5(n::text), 4, 15))::uuid" if ordered else "md5(n::text)::uuid"
    for month in {first.date().replace(day=1), datetime.now(UTC).date().replace(day=1)}:
        await admin.execute("SELECT ensure_usage_partition($1)", month)
    await admin.execute(
        f"""
        WITH made AS MATERIALIZED (
            SELECT {key} AS key, at, n FROM (
                SELECT n, $2::timestamptz + n * $3::interval AS at FROM generate_series(1, $4::int) AS n
            ) numbered
        ), keys AS (
            INSERT INTO usage_keys (tenant_id, key, recorded_at, content) SELECT $1, key, at, n FROM made
        )
        INSERT INTO usage_records (tenant_id, recorded_at, key, subscription_item_id, quantity, received_at)
        SELECT $1, at, key, 'sit_' || lpad((n % {SUBSCRIPTIONS})::text, 26, '0'), n % 5000, at FROM made
        """,
        TENANT,
        first,
        step,
        FILL_RECORDS,
        timeout=3600,
    )
    await admin.execute("ALTER TABLE usage_keys ADD PRIMARY KEY (key, tenant_id)", timeout=3600)
    await admin.execute("VACUUM ANALYZE usage_keys", timeout=3600)
    await admin.execute("CHECKPOINT", timeout=3600)


async def furnish(admin: asyncpg.Connection) -> None:
    """A tenant with as many customers as subscriptions, one metered item each."""
    await admin.execute(_CATALOG.format(tenant=TENANT))
    await admin.execute(
        """
        INSERT INTO subscriptions (
            tenant_id, id, customer_id, state, currency, interval_unit, interval_count, timezone, anchor_at,
            start_at, created_at
        )
        SELECT
            $1, 'sub_' || lpad(n::text, 26, '0'), 'cus_' || n, 'active', 'USD', 'month', 1, 'UTC',
            now() - interval '40 days', now() - interval '40 days', now()
        FROM generate_series(0, $2::int - 1) AS n
        """,
        TENANT,
        SUBSCRIPTIONS,
    )
    await admin.execute(
        "INSERT INTO subscription_items (tenant_id, id, subscription_id, position, price_id, meter_code, "
        "aggregation) SELECT tenant_id, replace(id, 'sub_', 'sit_'), id, 0, 'pri_1', 'calls', 'sum' "
        "FROM subscriptions"
    )


async def measure(new_database: NewDatabase, *, filled: bool) -> list[Row]:
    """The rows of the report. `filled` adds those with 20 million records there, which take ten minutes."""
    empty = await run_on(new_database, "usage_empty", time_ordered)
    mixed = await run_on(new_database, "usage_mixed", time_ordered, mixed=True)
    rows = [
        _row("usage over gRPC, 1,000 per message", empty, 0.45, 0.60),
        _row("the same, all 8 customers in each message", mixed, 0.45, 0.60, informative=True),
    ]
    if filled:
        console.print(f"usage: filling {FILL_RECORDS:,} records, twice")
        ordered = await run_on(new_database, "usage_ordered", time_ordered, filled=True)
        unordered = await run_on(new_database, "usage_random", any_order, filled=True)
        # Both shares of their own B0, since the machine is not the same after half an hour.
        kept = median_ratio(ordered) / median_ratio(empty)
        rows += [
            _row("usage at 20M records, time-ordered keys", ordered, 0.35, 0.50),
            Row("usage at 20M records, time-ordered keys", "empty", kept, 0.70, 0.85),
            _row("usage at 20M records, random keys", unordered, 0.18, 0.25),
        ]
    return rows


def _row(
    path: str, pairs: list[tuple[float, float]], must: float, goal: float, *, informative: bool = False
) -> Row:
    return Row(path, "B0: bare COPY", median_ratio(pairs), must, goal, rates(pairs), informative=informative)


async def run_on(
    new_database: NewDatabase, name: str, keys: Keys, *, mixed: bool = False, filled: bool = False
) -> list[tuple[float, float]]:
    """Rates on a database of its own."""
    database = await new_database(name)
    admin = await asyncpg.connect(database.admin)
    try:
        await furnish(admin)
        if filled:
            await fill(admin, ordered=keys is time_ordered)
        return await rounds(admin, database, keys, mixed)
    finally:
        await admin.close()


_CATALOG = """
INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at)
VALUES ('{tenant}', 'Bench', 'bench', 'live', 'USD', 'UTC', now());
INSERT INTO customers (tenant_id, id, currency, timezone, created_at, updated_at)
SELECT '{tenant}', 'cus_' || n, 'USD', 'UTC', now(), now() FROM generate_series(0, 99) AS n;
INSERT INTO products (tenant_id, id, code, name, created_at) VALUES ('{tenant}', 'pro_1', 'p', 'p', now());
INSERT INTO meters (tenant_id, id, code, name, aggregation, unit, created_at)
VALUES ('{tenant}', 'met_1', 'calls', 'Calls', 'sum', 'call', now());
INSERT INTO prices (
    tenant_id, id, product_id, code, price_version, currency, model, usage, meter_id, interval_unit,
    interval_count, unit_amount, unit_size, description, created_at
)
VALUES (
    '{tenant}', 'pri_1', 'pro_1', 'p', 1, 'USD', 'per_unit', 'metered', 'met_1', 'month', 1, 1, 1, '', now()
);
"""
