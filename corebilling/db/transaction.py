"""The transaction that doors open and services are given."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

from corebilling.values.caller import Caller
from corebilling.values.ids import new_id

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy
    from billing.event.v1 import event_pb2 as eventv1

# `unnest` keeps the order of the array, and the select list is evaluated row by row in that order. An
# ORDER BY would not promise it: volatile functions may run before the sort.
_LOCK = "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key"

_SWITCH = "SELECT set_config('corebilling.tenant_id', $1, true)"


SEVERAL_CAUSES = "several"
"""In place of a causation id, while events are handled together: each follow-up names its own."""


class RequestKey(NamedTuple):
    """What a caller's request is known by when it is repeated."""

    method: str
    request_id: str
    account: str
    """A digest of the account that the caller is limited to; '' of all others."""


class Transaction:
    """One database transaction of one tenant; all its queries see and write that tenant's rows alone.

    It is passed as the `conn` of the generated query functions. Driver errors leave it untranslated, so that
    `refuse_on` can name them; `Database.transaction` translates the rest.
    """

    __slots__ = (
        "_connection",
        "caller",
        "causation_id",
        "claimed",
        "correlation_id",
        "events",
        "now",
        "rehearsed_at",
        "repeats",
        "tenant_id",
        "written_events",
    )

    def __init__(
        self,
        connection: "PoolConnectionProxy[asyncpg.Record]",
        caller: Caller,
        causation_id: str,
        now: datetime,
        *,
        claimed: bool = False,
    ) -> None:
        self._connection = connection
        self.caller = caller
        self.tenant_id = caller.tenant_id
        self.now = now
        """System time, read once when the transaction opened."""
        self.correlation_id = caller.correlation_id or new_id("cor")
        self.causation_id = causation_id
        self.claimed = claimed
        """Whether the request's key was new and is held until the transaction ends."""
        self.events: list[eventv1.Event] = []
        """Appended by the outbox; written just before the commit."""
        self.written_events = 0
        """How many of them are written already."""
        self.rehearsed_at: datetime | None = None
        """The tenant's time in a rehearsal of what is to come."""
        self.repeats = False
        """It does again what may have been done before: events that the log has are not written once more."""

    @asynccontextmanager
    async def rehearse(self) -> AsyncIterator[None]:
        """What is done within is undone in the end, its events too; locks taken for it are free then.

        `rehearsed_at` may be set meanwhile: business time is what it says.
        """
        known = len(self.events)
        await self._connection.execute("SAVEPOINT rehearsal")
        yield
        await self._connection.execute("ROLLBACK TO SAVEPOINT rehearsal")
        del self.events[known:]
        self.rehearsed_at = None

    async def lock(self, *ordering_keys: str) -> None:
        """Wait until this transaction alone holds the tenant's keys; they are free when it ends.

        Take all of them in one call and before the first write. A transaction that already wrote has its
        place in the event log: waiting after that would publish its later change first. Nothing checks this.
        Raises asyncpg.LockNotAvailableError (ABORTED at the door) when the wait exceeds the lock timeout.
        """
        await self.lock_all((self.tenant_id, key) for key in ordering_keys)

    async def lock_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        """The same for (tenant id, key) pairs, for work that crosses tenants."""
        # In the same order everywhere, so that two transactions never wait for each other.
        numbers = sorted({_lock_number(tenant_id, key) for tenant_id, key in pairs})
        await self._connection.execute(_LOCK, numbers)

    async def act_for(self, caller: Caller, causation_id: str) -> None:
        """Go on for another cause, or SEVERAL_CAUSES, and its tenant: a batch of events is handled in one
        transaction."""
        self.caller = caller
        self.correlation_id = caller.correlation_id
        self.causation_id = causation_id
        await self.switch_tenant(caller.tenant_id)

    async def switch_tenant(self, tenant_id: str) -> None:
        """See and write this tenant's rows from here on."""
        if tenant_id != self.tenant_id:
            await self._connection.execute(_SWITCH, tenant_id)
            self.tenant_id = tenant_id

    async def execute(self, query: str, *args: object) -> str:
        return await self._connection.execute(query, *args)

    async def executemany(self, query: str, args: Iterable[Sequence[object]]) -> None:
        await self._connection.executemany(query, args)

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        return await self._connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        return await self._connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: object) -> Any:
        return await self._connection.fetchval(query, *args)

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str]
    ) -> str:
        """Refused by Postgres on tables with row-level security, which is nearly all: prefer unnest."""
        return await self._connection.copy_records_to_table(table_name, records=records, columns=columns)


def _lock_number(tenant_id: str, key: str) -> int:
    digest = blake2b(f"{tenant_id}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
