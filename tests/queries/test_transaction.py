"""The transaction: its tenant, its end, and what its failures become."""

import asyncio
import itertools
import types
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from corebilling.db.embedded import SUPERUSER
from corebilling.db.failure import refuse_on
from corebilling.db.pool import Database, ExcessPrivileges, RoleNotGranted
from corebilling.db.transaction import RequestKey
from corebilling.errors import (
    Aborted,
    AlreadyExists,
    Code,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    OutcomeUnknown,
    Unavailable,
)
from corebilling.values.caller import Caller
from corebilling.values.clock import SystemClock

_NOTES = """
CREATE TABLE notes (
    tenant_id text NOT NULL, id text NOT NULL, size bigint NOT NULL DEFAULT 0, body jsonb,
    CONSTRAINT notes_id_taken UNIQUE (tenant_id, id));
CALL isolate_tenant('notes');
ALTER TABLE notes OWNER TO corebilling_owner;
GRANT SELECT, INSERT, UPDATE ON notes TO corebilling_app;
"""
_SETTING = "SELECT current_setting('corebilling.tenant_id', true)"


def _caller(tenant_id="ten_a", **details):
    return Caller(tenant_id=tenant_id, actor="key", role="owner", permissions=frozenset(), **details)


async def _add(tx, note_id="n1", tenant_id=None):
    await tx.execute("INSERT INTO notes (tenant_id, id) VALUES ($1, $2)", tenant_id or tx.tenant_id, note_id)


async def _add_twice(tx):
    await _add(tx)
    await _add(tx)


async def _transact(db, work):
    async with db.transaction(_caller()) as tx:
        await work(tx)


@pytest.fixture
async def notes(database):
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute(_NOTES)
    await connection.close()
    return database


@pytest.fixture
async def open_app(notes):
    """Opens pools of the application's role with the settings a test needs; closes them."""
    opened = []

    async def open_(**options):
        options = {"max_size": 1, **options}
        db = await Database.open(
            notes.url("corebilling_app"), role="corebilling_app", clock=SystemClock(), **options
        )
        opened.append(db)
        return db

    yield open_
    for db in opened:
        await db.close()


async def _until(notes, sql, *args):
    """Until a query finds something."""
    async with asyncio.timeout(10):
        while not await notes.admin(sql, *args):
            pass


async def _all_notes(notes):
    return [row["id"] for row in await notes.admin("SELECT id FROM notes ORDER BY id")]


async def test_tenant_ends_with_the_transaction_on_the_same_connection(open_app):
    db = await open_app(max_size=1)
    async with db.transaction(_caller()) as tx:
        assert await tx.fetchval(_SETTING) == "ten_a"
        await _add(tx)
    async with db.connection() as connection:
        assert await connection.fetchval(_SETTING) == ""
        assert await connection.fetch("SELECT id FROM notes") == []


async def test_other_tenant_sees_nothing_with_the_predicate_removed(open_app, notes):
    db = await open_app()
    async with db.transaction(_caller("ten_a")) as tx:
        await _add(tx)
    async with db.transaction(_caller("ten_b")) as tx:
        assert await tx.fetch("SELECT id FROM notes") == []
        assert await tx.execute("UPDATE notes SET size = 1") == "UPDATE 0"
    assert await _all_notes(notes) == ["n1"]


async def test_writing_a_row_of_another_tenant_is_refused(open_app, notes):
    db = await open_app()
    with pytest.raises(Internal) as refusal:
        async with db.transaction(_caller("ten_b")) as tx:
            await _add(tx, tenant_id="ten_a")
    assert refusal.value.facts == {"sqlstate": "42501"}
    assert await _all_notes(notes) == []


async def test_tenant_id_that_is_not_one_never_reaches_the_database(open_app):
    db = await open_app()
    for tenant_id in ("", "ten_a'; DROP TABLE notes; --", "ten_a\n"):
        with pytest.raises(ValueError, match="not a tenant id"):
            async with db.transaction(_caller(tenant_id)):
                pass


async def test_block_that_raises_leaves_nothing(open_app, notes):
    db = await open_app()

    async def fail(tx):
        await _add(tx)
        raise KeyError

    with pytest.raises(KeyError):
        await _transact(db, fail)
    assert await _all_notes(notes) == []


@pytest.mark.parametrize("busy", [True, False], ids=["in a statement", "between statements"])
async def test_cancelled_transaction_leaves_nothing_and_its_connection_is_clean(open_app, notes, busy):
    db, backend = await open_app(max_size=1), asyncio.get_running_loop().create_future()

    async def write(tx):
        await _add(tx)
        backend.set_result(await tx.fetchval("SELECT pg_backend_pid()"))
        await (tx.execute("SELECT pg_sleep(30)") if busy else asyncio.Event().wait())

    task = asyncio.create_task(_transact(db, write))
    await _until(
        notes,
        "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event = $2",
        await backend,
        "PgSleep" if busy else "ClientRead",
    )
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with db.connection() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SELECT pg_backend_pid()") == await backend
        assert await connection.fetchval(_SETTING) == ""
    assert await _all_notes(notes) == []


async def test_statement_of_a_vanished_client_ends_and_frees_its_locks(open_app, notes):
    db = await open_app(max_size=1)

    async def sleep(tx):
        await tx.lock("cus_1")
        await tx.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(_transact(db, sleep))
    await _until(
        notes,
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'",
    )
    db._pool.terminate()
    with pytest.raises(Unavailable):
        await task
    await _until(
        notes,
        "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database()))",
    )


@types.coroutine
def _cancelled(work, at, answered):
    """Runs `work`, cancelled at its suspension of that number: as it begins to wait, or once it is answered.

    Returns whether it got that far.
    """
    task = asyncio.current_task()
    assert task
    step, value = work.send, None
    for number in itertools.count():
        try:
            awaited = step(value)
        except StopIteration:
            return number > at
        if number == at:
            if answered and awaited is not None:
                awaited.add_done_callback(lambda _: task.cancel())
            else:
                task.cancel()
        try:
            step, value = work.send, (yield awaited)
        except BaseException as error:
            step, value = work.throw, error


@pytest.mark.parametrize("answered", [False, True], ids=["as it begins to wait", "as the answer is there"])
async def test_cancelling_at_any_await_commits_all_or_nothing(open_app, notes, answered):
    db = await open_app(max_size=2)

    async def write(n):
        async with db.transaction(_caller()) as tx:
            await _add(tx, f"{n:03}a")
            await _add(tx, f"{n:03}b")

    async def write_cancelled(at):
        return await _cancelled(write(at), at, answered)

    for at in range(100):
        task = asyncio.create_task(write_cancelled(at))
        await asyncio.wait([task])
        async with db.connection() as connection:
            assert not connection.is_in_transaction()
        if not task.cancelled() and not task.result():
            break
    ids = await _all_notes(notes)
    assert [one[:3] for one in ids if one.endswith("a")] == [one[:3] for one in ids if one.endswith("b")]
    assert 0 < len(ids) < 200, "some must have been cancelled and some not"


async def test_cancelling_does_not_alarm_the_loop(open_app):
    db, alarms = await open_app(max_size=1), []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: alarms.append(context))
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), db.transaction(_caller()) as tx:
                await tx.execute("SELECT pg_sleep(30)")
    finally:
        loop.set_exception_handler(None)
    assert alarms == []


async def test_broken_transaction_that_somebody_goes_on_with_is_not_taken_for_committed(open_app, notes):
    done: list[object] = []
    db = await open_app(committed=done.append)

    async def go_on(tx):
        with pytest.raises(asyncpg.UniqueViolationError):
            await _add_twice(tx)

    with pytest.raises(Internal):
        await _transact(db, go_on)
    assert (await _all_notes(notes), done) == ([], [])


async def test_flush_writes_in_the_transaction_and_committed_runs_after_it(open_app, notes):
    steps = []

    async def flush(tx):
        steps.append("flush")
        await _add(tx, "flushed")

    db = await open_app(flush=flush, committed=lambda tx: steps.append("committed"))
    async with db.transaction(_caller()) as tx:
        await _add(tx)
        steps.append("block")
    assert steps == ["block", "flush", "committed"]
    assert await _all_notes(notes) == ["flushed", "n1"]


async def test_failed_flush_undoes_the_block(open_app, notes):
    async def flush(tx):
        raise InvalidArgument("REQUEST_INVALID", "no")

    db = await open_app(flush=flush)
    with pytest.raises(InvalidArgument):
        async with db.transaction(_caller()) as tx:
            await _add(tx)
    assert await _all_notes(notes) == []


async def test_transaction_knows_its_caller_time_and_causes(open_app):
    db = await open_app()
    async with db.transaction(_caller(correlation_id="cor_1"), causation_id="evt_1") as tx:
        assert (tx.tenant_id, tx.correlation_id, tx.causation_id) == ("ten_a", "cor_1", "evt_1")
        assert abs((tx.now - datetime.now(UTC)).total_seconds()) < 5
    async with db.transaction(_caller()) as tx:
        assert tx.correlation_id.startswith("cor_")


async def test_lock_makes_the_second_wait_for_the_first_and_takes_no_transaction_id(open_app):
    db, order, locked = await open_app(max_size=2), [], asyncio.Event()

    async def second():
        await locked.wait()
        async with db.transaction(_caller()) as tx:
            await tx.lock("cus_1", "cus_3")
            order.append("second")

    task = asyncio.create_task(second())
    async with db.transaction(_caller()) as tx:
        await tx.lock("cus_2", "cus_1")
        assert await tx.fetchval("SELECT pg_current_xact_id_if_assigned()") is None
        locked.set()
        async with asyncio.timeout(10):
            while await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0:
                pass
        order.append("first")
    await task
    assert order == ["first", "second"]


async def test_locks_of_two_tenants_do_not_meet(open_app):
    db = await open_app(max_size=2)
    async with db.transaction(_caller("ten_a")) as a, db.transaction(_caller("ten_b")) as b:
        await a.lock("cus_1")
        await b.lock("cus_1")


async def test_many_keys_in_any_order_never_deadlock(open_app):
    db = await open_app(max_size=8)
    keys = [f"cus_{n}" for n in range(6)]

    async def run(n):
        async with db.transaction(_caller()) as tx:
            await tx.lock(*(keys[n % 6 :] + keys[: n % 6]))

    await asyncio.gather(*(run(n) for n in range(64)))


async def test_named_constraint_becomes_the_services_own_refusal(open_app):
    db = await open_app()
    taken = AlreadyExists("CODE_TAKEN", "choose another", {"code": "n1"})

    async def add(tx):
        with refuse_on({"notes_id_taken": taken}):
            await _add_twice(tx)

    with pytest.raises(AlreadyExists) as refusal:
        await _transact(db, add)
    assert (refusal.value.code, refusal.value.facts) == (Code.ALREADY_EXISTS, {"code": "n1"})


async def test_unnamed_duplicate_asks_to_repeat(open_app):
    db = await open_app()
    with pytest.raises(Aborted) as refusal:
        await _transact(db, _add_twice)
    assert (refusal.value.reason, refusal.value.retry_after_s) == ("CONFLICT", 0.1)


async def test_statement_timeout_is_deadline_exceeded(open_app):
    db = await open_app(statement_timeout_s=0.05)
    with pytest.raises(DeadlineExceeded) as refusal:
        async with db.transaction(_caller()) as tx:
            await tx.execute("SELECT pg_sleep(30)")
    assert refusal.value.reason == "DEADLINE_EXCEEDED"


async def test_lock_timeout_asks_to_repeat(open_app):
    db = await open_app(max_size=2, lock_timeout_s=0.05)
    async with db.transaction(_caller()) as first:
        await first.lock("cus_1")
        with pytest.raises(Aborted):
            await _transact(db, lambda second: second.lock("cus_1"))


@pytest.mark.parametrize("size", [2**63, Decimal(10) ** 30])
async def test_number_too_large_is_the_callers_fault(open_app, size):
    db = await open_app()
    sql = "INSERT INTO notes (tenant_id, id, size) VALUES ('ten_a', 'n', $1)"
    if isinstance(size, Decimal):
        sql = sql.replace("$1", "$1::numeric")
    with pytest.raises(InvalidArgument) as refusal:
        async with db.transaction(_caller()) as tx:
            await tx.execute(sql, size)
    assert refusal.value.reason == "VALUE_OUT_OF_RANGE"


async def test_text_that_cannot_be_stored_is_the_callers_fault(open_app):
    db = await open_app()
    with pytest.raises(InvalidArgument) as refusal:
        async with db.transaction(_caller()) as tx:
            await _add(tx, "nul\0")
    assert refusal.value.reason == "REQUEST_INVALID"


async def test_busy_pool_is_unavailable_for_now(open_app):
    db = await open_app(max_size=1, acquire_timeout_s=0.05)
    async with db.transaction(_caller()):
        with pytest.raises(Unavailable, match="busy") as refusal:
            async with db.transaction(_caller()):
                pass
    assert refusal.value.retry_after_s == 1.0


async def test_whoever_waits_is_given_the_connection_that_comes_free(open_app):
    db = await open_app(max_size=1)
    backends = []

    async def work(tx):
        backends.append(await tx.fetchval("SELECT pg_backend_pid()"))

    await asyncio.gather(*(_transact(db, work) for _ in range(20)))
    assert len(backends) == 20
    assert len(set(backends)) == 1


async def test_request_key_is_claimed_until_the_transaction_ends(open_app):
    db = await open_app(max_size=2)
    key = RequestKey("a method", 'it\'s \\ "mine"; --', "")
    async with db.transaction(_caller(), request_key=key) as tx:
        assert tx.claimed
        async with db.transaction(_caller(), request_key=key) as second:
            assert not second.claimed
        async with db.transaction(_caller("ten_b"), request_key=key) as others:
            assert others.claimed
    async with db.transaction(_caller(), request_key=key) as tx:
        assert tx.claimed


@pytest.mark.parametrize("conforming", ["on", "off"])
async def test_request_key_is_looked_up_by_the_whole_index(open_app, conforming):
    """A collation of its own would have every key of the tenant read, and literals are read in two ways."""
    db = await open_app(max_size=1, settings={"standard_conforming_strings": conforming})
    record = """
        INSERT INTO request_keys (tenant_id, method, request_id, account, request_hash, created_at)
        SELECT 'ten_a', 'a method', n::text, '', '', now() FROM generate_series(1, 1000) n
    """
    async with db.transaction(_caller()) as tx:
        await tx.execute(record)
    async with db.transaction(_caller(), request_key=RequestKey("a method", "17", "")) as tx:
        assert not tx.claimed
        read = await tx.fetchval(
            "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'request_keys'"
        )
    assert read == 1


async def test_absent_server_is_unavailable(tmp_path):
    with pytest.raises(Unavailable) as refusal:
        await Database.open(
            f"postgresql://corebilling_app@/x?host={tmp_path}",
            role="corebilling_app",
            clock=SystemClock(),
            max_size=1,
        )
    assert refusal.value.reason == "DATABASE_UNAVAILABLE"


@pytest.mark.parametrize("busy", [True, False], ids=["in a statement", "between statements"])
async def test_lost_connection_is_unavailable_and_the_pool_recovers(open_app, notes, busy):
    db = await open_app(max_size=1)

    async def lose(tx):
        await _add(tx)
        backend = await tx.fetchval("SELECT pg_backend_pid()")
        if busy:
            await tx.execute("SELECT pg_sleep(30) FROM pg_terminate_backend(pg_backend_pid())")
        await notes.admin("SELECT pg_terminate_backend($1::int, 10000)", backend)
        await tx.fetchval("SELECT 1")

    with pytest.raises(Unavailable) as refusal:
        await _transact(db, lose)
    assert not isinstance(refusal.value, OutcomeUnknown)
    async with db.transaction(_caller()) as tx:
        assert await tx.fetch("SELECT id FROM notes") == []


async def test_backend_killed_in_the_idle_pool_is_replaced(open_app, notes):
    db = await open_app(max_size=1)
    async with db.connection() as connection:
        backend = await connection.fetchval("SELECT pg_backend_pid()")
    await notes.admin("SELECT pg_terminate_backend($1::int, 10000)", backend)
    async with db.transaction(_caller()) as tx:
        assert await tx.fetchval("SELECT pg_backend_pid()") != backend


async def test_transaction_left_idle_too_long_is_ended(open_app, notes):
    db = await open_app(max_size=1, idle_in_transaction_timeout_s=0.02)

    async def idle(tx):
        await _add(tx)
        await _until(
            notes,
            "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in%')",
        )
        await _add(tx, "n2")

    with pytest.raises(Unavailable):
        await _transact(db, idle)
    assert await _all_notes(notes) == []


async def test_connection_lost_while_committing_is_an_unknown_outcome(open_app, notes):
    # A deferred trigger holds the COMMIT open until the backend is killed under it.
    connection = await asyncpg.connect(notes.admin_url)
    await connection.execute(
        """
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER dawdles AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION dawdle()
        """
    )
    await connection.close()
    db, backend = await open_app(), asyncio.get_running_loop().create_future()

    async def write(tx):
        await _add(tx)
        backend.set_result(await tx.fetchval("SELECT pg_backend_pid()"))

    task = asyncio.create_task(_transact(db, write))
    committing = (
        "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep' AND pid = $1"
    )
    await _until(notes, committing, await backend)
    await notes.admin("SELECT pg_terminate_backend($1::int)", await backend)
    with pytest.raises(OutcomeUnknown) as refusal:
        await task
    assert (refusal.value.reason, refusal.value.code) == ("OUTCOME_UNKNOWN", Code.UNAVAILABLE)
    assert refusal.value.retry_after_s == 1.0


async def test_jsonb_goes_in_and_out_as_objects_also_by_unnest(open_app):
    db, body = await open_app(), {"name": "ø", "tags": ["a", None]}
    async with db.transaction(_caller()) as tx:
        await tx.execute(
            "INSERT INTO notes (tenant_id, id, body) SELECT $1, 'n', b FROM unnest($2::jsonb[]) AS b",
            tx.tenant_id,
            [body],
        )
        assert await tx.fetchval("SELECT body FROM notes") == body


async def test_application_and_worker_have_the_least_privilege(app_db, worker_db):
    await app_db.assert_least_privilege()
    await worker_db.assert_least_privilege()


@pytest.mark.parametrize(
    ("login", "role"),
    [
        ("postgres", "postgres"),
        ("postgres", "corebilling_app"),  # RESET ROLE would be enough
        ("postgres", "corebilling_owner"),
        ("sees_all", "sees_all"),
        ("owns", "owns"),
    ],
)
async def test_role_that_could_read_past_policies_is_refused(database, login, role):
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute(
        """
        DROP ROLE IF EXISTS sees_all; CREATE ROLE sees_all LOGIN BYPASSRLS;
        DROP ROLE IF EXISTS owns; CREATE ROLE owns LOGIN IN ROLE corebilling_owner;
        """
    )
    await connection.close()
    db = await Database.open(database.url(login), role=role, clock=SystemClock(), max_size=1)
    with pytest.raises(ExcessPrivileges, match="row-level security"):
        await db.assert_least_privilege()
    await db.close()


async def test_point_read_takes_three_round_trips(open_app, notes):
    db = await open_app()
    async with db.transaction(_caller()) as tx:
        await tx.fetchval("SELECT 1")
    messages: list[Any] = []
    async with db.connection() as connection:
        connection.add_query_logger(messages.append)
    async with db.transaction(_caller()) as tx:
        await tx.fetchval("SELECT 1")
    await asyncio.sleep(0)  # the driver tells of a message in the loop's next turn
    async with db.connection() as connection:
        connection.remove_query_logger(messages.append)
    assert [m.query for m in messages] == [
        "BEGIN; SET LOCAL corebilling.tenant_id = 'ten_a'",
        "SELECT 1",
        "COMMIT",
    ]


async def test_a_login_that_may_not_become_the_role_learns_how(database):
    await database.admin("CREATE ROLE stranger LOGIN")
    try:
        with pytest.raises(RoleNotGranted, match="GRANT corebilling_worker TO"):
            await Database.open(
                database.url("stranger"), role="corebilling_worker", clock=SystemClock(), max_size=1
            )
    finally:
        await database.admin("DROP ROLE stranger")


async def test_where_the_roles_are_missing_it_says_to_migrate(database):
    with pytest.raises(RoleNotGranted, match=r'role "nobody" does not exist.*corebilling migrate up'):
        await Database.open(database.url("corebilling_app"), role="nobody", clock=SystemClock(), max_size=1)


async def test_a_database_that_takes_no_connections_is_unavailable(database):
    administrator = await asyncpg.connect(database.server.url(SUPERUSER, "postgres"))
    await administrator.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
    await administrator.close()
    with pytest.raises(Unavailable):
        await Database.open(
            database.url("corebilling_app"), role="corebilling_app", clock=SystemClock(), max_size=1
        )
