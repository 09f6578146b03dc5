"""One pool of connections per database role, and the two ways to use it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
from asyncpg import exceptions as pg

from corebilling.db.failure import (
    CONNECT_ERRORS,
    DRIVER_ERRORS,
    translate,
    translate_commit,
    translate_connect,
    unavailable,
)
from corebilling.db.transaction import RequestKey, Transaction
from corebilling.errors import Internal
from corebilling.values.caller import Caller
from corebilling.values.clock import Clock
from corebilling.values.ids import TENANT_ID

if TYPE_CHECKING:
    from asyncpg.pool import Pool, PoolConnectionProxy

_STATEMENT_CACHE_SIZE = 1000
_CONNECT_TIMEOUT_S = 10.0
_CLEAN_UP_TIMEOUT_S = 2.0

_JSONB_VERSION = b"\x01"

# The status of the last statement of a message is all that is answered to it: a row stands for a claim.
_CLAIM = "SELECT FROM claim_request"
_NEW = " c WHERE c.claimed AND c.request_hash IS NULL"
_CLAIMED = "SELECT 1"

_EXCESS_PRIVILEGES = """
SELECT role.rolname, role.rolsuper, role.rolbypassrls,
    EXISTS (
        SELECT FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND pg_has_role(role.oid, c.relowner, 'MEMBER')
    ) AS owns
FROM pg_roles role WHERE role.rolname IN (current_user, session_user)
"""


class RoleNotGranted(Exception):
    """The login cannot become the role; the message says how to let it."""


class ExcessPrivileges(Exception):
    """The database role could read past row-level security; the message names it."""


class _Connection(asyncpg.Connection):
    def get_reset_query(self) -> str:
        # Nothing to reset between uses: every setting we change is SET LOCAL. Saves a round trip.
        return ""

    async def reset(self, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 (asyncpg's)
        # The pool calls this at release, once a cancelled statement has ended. It would roll back by itself,
        # but reports that as a fault.
        if self.is_in_transaction():
            async with asyncio.timeout(timeout):
                await self.execute("ROLLBACK")
        await super().reset(timeout=timeout)


class Database:
    """A pool of connections that act as one role."""

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        role: str,
        clock: Clock,
        max_size: int,
        flush: Callable[[Transaction], Awaitable[None]] | None = None,
        committed: Callable[[Transaction], None] | None = None,
        acquire_timeout_s: float = 5.0,
        statement_timeout_s: float = 30.0,
        lock_timeout_s: float = 10.0,
        idle_in_transaction_timeout_s: float = 10.0,
        settings: Mapping[str, str] | None = None,
    ) -> "Database":
        """Connect once, so that a wrong URL fails here; further connections follow on demand.

        `flush` runs right before each COMMIT, `committed` right after. `settings` are added to those of every
        session.

        Raises:
            BillingError: UNAVAILABLE when the server cannot be reached.
            RoleNotGranted: the login of the URL may not act as this role.
        """
        server_settings = {
            "role": role,
            "application_name": role,
            "timezone": "UTC",
            "jit": "off",
            "statement_timeout": _milliseconds(statement_timeout_s),
            "lock_timeout": _milliseconds(lock_timeout_s),
            "idle_in_transaction_session_timeout": _milliseconds(idle_in_transaction_timeout_s),
            # A statement whose client is gone ends, and with it its locks: a cancellation can miss it.
            "client_connection_check_interval": "1s",
            **(settings or {}),
        }
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=max_size,
                timeout=_CONNECT_TIMEOUT_S,
                statement_cache_size=_STATEMENT_CACHE_SIZE,
                max_cached_statement_lifetime=0,
                connection_class=_Connection,
                server_settings=server_settings,
                init=_register_codecs,
            )
        except pg.InsufficientPrivilegeError as error:
            raise RoleNotGranted(
                f"the login of the database URL may not act as {role} ({error}); as an administrator: "
                f"GRANT {role} TO <the login>"
            ) from error
        except pg.InvalidParameterValueError as error:
            raise RoleNotGranted(
                f"nobody can act as {role} here ({error}); as an administrator: corebilling migrate up"
            ) from error
        except CONNECT_ERRORS as error:
            raise translate_connect(error) from error
        return cls(pool, clock, flush, committed, acquire_timeout_s)

    def __init__(
        self,
        pool: "Pool[asyncpg.Record]",
        clock: Clock,
        flush: Callable[[Transaction], Awaitable[None]] | None,
        committed: Callable[[Transaction], None] | None,
        acquire_timeout_s: float,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._flush = flush
        self._committed = committed
        self._acquire_timeout_s = acquire_timeout_s
        # Idle, but not given back: each release costs the pool a task, which is as much as a statement. Given
        # back is what broke, and what somebody waits for: after a busy time all that were opened stay open.
        self._kept: list[PoolConnectionProxy[asyncpg.Record]] = []
        self._waiting = 0
        self._closing = False

    async def close(self) -> None:
        """Wait a little for connections in use, then close all."""
        self._closing = True
        try:
            async with asyncio.timeout(_CLEAN_UP_TIMEOUT_S):
                while self._kept:
                    await self._give_back(self._kept.pop())
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def transaction(
        self,
        caller: Caller,
        *,
        causation_id: str = "",
        audit_id: str = "",
        request_key: RequestKey | None = None,
    ) -> AsyncIterator[Transaction]:
        """Commits when the block ends, rolls back when it raises or is cancelled.

        With an `audit_id`, the database records what rows become, for the audit entry of that id. A
        `request_key` is claimed at once: `Transaction.claimed` says whether it was new and free.

        Raises BillingError for every failure of the database; OutcomeUnknown if the connection was lost while
        committing.
        """
        begin = _begin(caller.tenant_id, audit_id, request_key)
        # Written flat: each nested context manager costs as much as a tenth of a round trip.
        connection, sound = await self._acquire(), False
        try:
            try:
                began = await connection.execute(begin)
                tx = Transaction(
                    connection, caller, causation_id, self._clock.now(), claimed=began == _CLAIMED
                )
                yield tx
                if self._flush is not None:
                    await self._flush(tx)
            except DRIVER_ERRORS as error:
                raise translate(error) from error
            await _commit(connection)
            sound = True
            if self._committed is not None:
                self._committed(tx)
        finally:
            await self._release(connection, sound)

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[PoolConnectionProxy[asyncpg.Record]]":
        """A connection without a transaction or tenant: each statement commits. For queue tables."""
        connection, sound = await self._acquire(), False
        try:
            yield connection
            sound = True
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        finally:
            await self._release(connection, sound)

    async def assert_least_privilege(self) -> None:
        """Raises ExcessPrivileges if this role is a superuser, bypasses row-level security or owns tables."""
        async with self.connection() as connection:
            roles = await connection.fetch(_EXCESS_PRIVILEGES)
        for role in roles:
            if role["rolsuper"] or role["rolbypassrls"] or role["owns"]:
                raise ExcessPrivileges(
                    f"database role {role['rolname']} can read past row-level security (superuser, BYPASSRLS "
                    "or owner of tables); connect as a member of corebilling_app or corebilling_worker"
                )

    async def _acquire(self) -> "PoolConnectionProxy[asyncpg.Record]":
        while self._kept:
            connection = self._kept.pop()
            if _is_open(connection):
                return connection
            await self._give_back(connection)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._acquire_timeout_s):
                return await self._pool.acquire()
        except TimeoutError:
            raise unavailable("all database connections are busy") from None
        except CONNECT_ERRORS as error:
            raise translate_connect(error) from error
        finally:
            self._waiting -= 1

    async def _release(self, connection: "PoolConnectionProxy[asyncpg.Record]", sound: bool) -> None:
        if sound and not (self._waiting or self._closing):
            self._kept.append(connection)
        else:
            await self._give_back(connection)

    async def _give_back(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        # The pool waits for a cancelled statement to end, resets, and closes the connection if that fails or
        # takes too long; it shields itself, so that cancelling us does not stop it half-way.
        # A failure here changes nothing about what the block answered.
        with contextlib.suppress(*CONNECT_ERRORS):
            await self._pool.release(connection, timeout=_CLEAN_UP_TIMEOUT_S)


def _is_open(connection: "PoolConnectionProxy[asyncpg.Record]") -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool learned first that it broke.
        return False


def _begin(tenant_id: str, audit_id: str, request_key: RequestKey | None) -> str:
    if TENANT_ID.fullmatch(tenant_id) is None:
        raise ValueError(f"not a tenant id: {tenant_id!r}")
    # One message: a simple query may hold several statements but no parameters, hence the check above.
    begin = f"BEGIN; SET LOCAL corebilling.tenant_id = '{tenant_id}'"
    if audit_id:
        # Of our own making, as the tenant's id was not.
        begin += f"; SET LOCAL corebilling.audit = '{tenant_id} {audit_id}'"
    if request_key is not None:
        begin += f"; {_CLAIM}('{tenant_id}', {', '.join(map(_literal, request_key))}){_NEW}"
    return begin


def _literal(text: str) -> str:
    # Of a caller's making: hexadecimal digits quote nothing and end nothing, however literals are read. The
    # collation would be that of the encoding's name, by which no index is sorted.
    return f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8') COLLATE \"default\""


async def _commit(connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
    try:
        outcome = await connection.execute("COMMIT")
    except DRIVER_ERRORS as error:
        raise translate_commit(error) from error
    if outcome != "COMMIT":
        # Postgres answers COMMIT of a broken transaction with a friendly ROLLBACK: somebody caught an error
        # of the database and went on.
        raise Internal("INTERNAL", "the platform failed on this request", {"outcome": outcome})


async def _register_codecs(connection: asyncpg.Connection) -> None:
    # Binary, because COPY takes no text codecs.
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


def _encode_jsonb(value: Any) -> bytes:
    return _JSONB_VERSION + orjson.dumps(value)


def _decode_jsonb(data: bytes) -> Any:
    return orjson.loads(memoryview(data)[1:])


def _milliseconds(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
