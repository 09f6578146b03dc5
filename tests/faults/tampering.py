"""Ways to falsify a sealed audit log, as somebody could who owns the database but not the master key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import asyncpg
from billing_db.models import AuditEntry
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from corebilling.domains.audit.model import first_hash, hash_of, seal_after, signed_part
from corebilling.domains.audit.rows import with_changes

TABLES = ("audit_entries", "audit_changes", "audit_seals", "audit_heads", "audit_sealing", "billing_events")
TEXTS = (
    "actor",
    "action",
    "request_id",
    "correlation_id",
    "trace_id",
    "ip",
    "user_agent",
    "reason",
)


@dataclass(frozen=True)
class Forger:
    """Works as superuser, with triggers off."""

    connection: asyncpg.Connection
    chance: Random
    tenant_id: str
    other_id: str
    length: int
    """How many entries of the tenant are sealed."""

    async def do(self, sql: str, *args: object) -> list[asyncpg.Record]:
        return list(await self.connection.fetch(sql, *args))

    def place(self, first: int = 1) -> int:
        return self.chance.randint(first, self.length)

    async def at(self, position: int, tenant_id: str = "") -> str:
        """The entry that is sealed there."""
        (row,) = await self.do(
            "SELECT audit_id FROM audit_seals WHERE tenant_id = $1 AND position = $2",
            tenant_id or self.tenant_id,
            position,
        )
        return str(row["audit_id"])

    async def a_change(self) -> tuple[str, int]:
        rows = await self.do(
            "SELECT audit_id, seq FROM audit_changes WHERE tenant_id = $1 ORDER BY seq", self.tenant_id
        )
        row = self.chance.choice(rows)
        return row["audit_id"], row["seq"]

    async def remove_entry(self, audit_id: str) -> None:
        await self.do("DELETE FROM audit_entries WHERE tenant_id = $1 AND id = $2", self.tenant_id, audit_id)
        await self.do(
            "DELETE FROM audit_changes WHERE tenant_id = $1 AND audit_id = $2", self.tenant_id, audit_id
        )

    async def remove_seals(self, after: int) -> None:
        await self.do("DELETE FROM audit_seals WHERE tenant_id = $1 AND position > $2", self.tenant_id, after)
        await self.do("DELETE FROM audit_heads WHERE tenant_id = $1 AND count > $2", self.tenant_id, after)


async def edit_entry(forger: Forger) -> None:
    column = forger.chance.choice(TEXTS)
    await forger.do(
        f"UPDATE audit_entries SET {column} = {column} || 'x' WHERE tenant_id = $1 AND id = $2",
        forger.tenant_id,
        await forger.at(forger.place()),
    )


async def backdate_entry(forger: Forger) -> None:
    await forger.do(
        "UPDATE audit_entries SET occurred_at = occurred_at - interval '1 us' "
        "WHERE tenant_id = $1 AND id = $2",
        forger.tenant_id,
        await forger.at(forger.place()),
    )


async def edit_change(forger: Forger) -> None:
    audit_id, seq = await forger.a_change()
    edit = forger.chance.choice(
        (
            "resource_id = resource_id || 'x'",
            "resource_type = 'tenants'",
            "operation = CASE operation WHEN 'insert' THEN 'update' ELSE 'insert' END",
            'new = new || \'{"currency": "XXX"}\'',
            'old = \'{"currency": "XXX"}\'',
            "new = NULL",
        )
    )
    await forger.do(
        f"UPDATE audit_changes SET {edit} WHERE tenant_id = $1 AND audit_id = $2 AND seq = $3",
        forger.tenant_id,
        audit_id,
        seq,
    )


async def delete_change(forger: Forger) -> None:
    audit_id, seq = await forger.a_change()
    await forger.do(
        "DELETE FROM audit_changes WHERE tenant_id = $1 AND audit_id = $2 AND seq = $3",
        forger.tenant_id,
        audit_id,
        seq,
    )


async def delete_entry(forger: Forger) -> None:
    await forger.remove_entry(await forger.at(forger.place()))


async def delete_seal(forger: Forger) -> None:
    await forger.do(
        "DELETE FROM audit_seals WHERE tenant_id = $1 AND position = $2", forger.tenant_id, forger.place()
    )


async def delete_head(forger: Forger) -> None:
    rows = await forger.do("SELECT count FROM audit_heads WHERE tenant_id = $1", forger.tenant_id)
    await forger.do(
        "DELETE FROM audit_heads WHERE tenant_id = $1 AND count = $2",
        forger.tenant_id,
        forger.chance.choice(rows)["count"],
    )


async def delete_and_close_the_gap(forger: Forger) -> None:
    place = forger.place()
    await forger.remove_entry(await forger.at(place))
    await forger.do("DELETE FROM audit_seals WHERE tenant_id = $1 AND position = $2", forger.tenant_id, place)
    for position in range(place + 1, forger.length + 1):
        await forger.do(
            "UPDATE audit_seals SET position = position - 1 WHERE tenant_id = $1 AND position = $2",
            forger.tenant_id,
            position,
        )


async def reorder_seals(forger: Forger) -> None:
    """Two entries change places, with their own hashes."""
    one, two = forger.chance.sample(range(1, forger.length + 1), 2)
    await _swap(forger, "audit_seals", "position", one, two)


async def reorder_entries(forger: Forger) -> None:
    """Two entries go by each other's ids."""
    one, two = forger.chance.sample(range(1, forger.length + 1), 2)
    await _swap(forger, "audit_entries", "id", await forger.at(one), await forger.at(two))


async def _swap(forger: Forger, table: str, column: str, one: Any, two: Any) -> None:
    between = 10**9 if isinstance(one, int) else "aud_between"
    for old, new in ((one, between), (two, one), (between, two)):
        await forger.do(
            f"UPDATE {table} SET {column} = $3 WHERE tenant_id = $1 AND {column} = $2",
            forger.tenant_id,
            old,
            new,
        )


async def truncate_entries(forger: Forger) -> None:
    for position in range(forger.place(), forger.length + 1):
        await forger.remove_entry(await forger.at(position))


async def truncate_entries_and_seals(forger: Forger) -> None:
    kept = forger.place() - 1
    for position in range(kept + 1, forger.length + 1):
        await forger.remove_entry(await forger.at(position))
    await forger.remove_seals(kept)


async def truncate_to_an_older_head(forger: Forger) -> None:
    """So that all that is left is sound: the events of later heads alone tell."""
    rows = await forger.do(
        "SELECT count FROM audit_heads WHERE tenant_id = $1 AND count < $2", forger.tenant_id, forger.length
    )
    kept = forger.chance.choice(rows)["count"]
    for position in range(kept + 1, forger.length + 1):
        await forger.remove_entry(await forger.at(position))
    await forger.remove_seals(kept)


async def truncate_with_announcements(forger: Forger) -> None:
    """Only a head that somebody kept elsewhere tells."""
    await truncate_to_an_older_head(forger)
    (row,) = await forger.do(
        "SELECT max(count) AS count FROM audit_heads WHERE tenant_id = $1", forger.tenant_id
    )
    await forger.do(
        "DELETE FROM billing_events WHERE tenant_id = $1 AND subject = 'audit.sealed' "
        "AND resource_version > $2",
        forger.tenant_id,
        row["count"],
    )


async def empty_the_log(forger: Forger) -> None:
    await forger.do("DELETE FROM audit_changes WHERE tenant_id = $1", forger.tenant_id)
    await forger.do("DELETE FROM audit_entries WHERE tenant_id = $1", forger.tenant_id)
    await forger.remove_seals(0)


async def swap_between_tenants(forger: Forger) -> None:
    """An entry of each becomes the other's, with its seal."""
    mine, theirs = await forger.at(forger.place()), await forger.at(1, forger.other_id)
    for table, column in (("audit_entries", "id"), ("audit_changes", "audit_id")):
        await forger.do(
            f"UPDATE {table} SET tenant_id = CASE {column} WHEN $1 THEN $4 ELSE $3 END "
            f"WHERE {column} IN ($1, $2)",
            mine,
            theirs,
            forger.tenant_id,
            forger.other_id,
        )
    await forger.do(
        "UPDATE audit_seals SET audit_id = CASE audit_id WHEN $1 THEN $2 ELSE $1 END "
        "WHERE audit_id IN ($1, $2)",
        mine,
        theirs,
    )


async def insert_entry(forger: Forger) -> None:
    """Among those that are sealed."""
    await forger.do(
        "INSERT INTO audit_entries (tenant_id, id, epoch, xid, seq, occurred_at, actor, action, request_id, "
        "correlation_id, trace_id, ip, user_agent, reason) OVERRIDING SYSTEM VALUE "
        "SELECT tenant_id, id || 'x', epoch, xid, 0, occurred_at, actor, action, request_id, "
        "correlation_id, trace_id, ip, user_agent, reason FROM audit_entries "
        "WHERE tenant_id = $1 AND id = $2",
        forger.tenant_id,
        await forger.at(forger.place()),
    )


async def insert_change(forger: Forger) -> None:
    await forger.do(
        "INSERT INTO audit_changes (tenant_id, audit_id, resource_type, resource_id, operation, new) "
        "VALUES ($1, $2, 'customers', 'cus_x', 'insert', '{}')",
        forger.tenant_id,
        await forger.at(forger.place()),
    )


async def rewrite_seals(forger: Forger) -> None:
    """Edits an entry and works out all hashes again; heads stay."""
    await edit_entry(forger)
    await _reseal(forger)


async def rewrite_seals_and_heads(forger: Forger) -> None:
    """The same, with heads that say so under the old signatures."""
    await edit_entry(forger)
    await _reseal(forger)
    await forger.do(
        "UPDATE audit_heads h SET hash = s.hash FROM audit_seals s "
        "WHERE h.tenant_id = $1 AND s.tenant_id = $1 AND s.position = h.count",
        forger.tenant_id,
    )


async def rewrite_and_sign(forger: Forger) -> None:
    """The same, with heads signed under a key of the forger's own, which goes by our key's name."""
    await rewrite_seals_and_heads(forger)
    key = Ed25519PrivateKey.generate()
    for row in await forger.do("SELECT * FROM audit_heads WHERE tenant_id = $1", forger.tenant_id):
        part = signed_part(row["tenant_id"], row["count"], row["hash"], row["sealed_at"], row["key_id"])
        await forger.do(
            "UPDATE audit_heads SET signature = $3 WHERE tenant_id = $1 AND count = $2",
            forger.tenant_id,
            row["count"],
            key.sign(part),
        )


async def _reseal(forger: Forger) -> None:
    rows = await forger.do(
        "SELECT e.* FROM audit_entries e "
        "JOIN audit_seals s ON s.tenant_id = e.tenant_id AND s.audit_id = e.id "
        "WHERE e.tenant_id = $1 ORDER BY s.position",
        forger.tenant_id,
    )
    before = first_hash(forger.tenant_id)
    entries = await with_changes(forger.connection, [AuditEntry(*row) for row in rows])  # type: ignore[arg-type]
    for position, entry in enumerate(entries, 1):
        seal = seal_after(before, position, entry.id, hash_of(entry))
        await forger.do(
            "UPDATE audit_seals SET entry_hash = $3, hash = $4 WHERE tenant_id = $1 AND position = $2",
            forger.tenant_id,
            position,
            seal.entry_hash,
            seal.hash,
        )
        before = seal.hash


WAYS: tuple[Callable[[Forger], Awaitable[None]], ...] = (
    edit_entry,
    backdate_entry,
    edit_change,
    delete_change,
    delete_entry,
    delete_seal,
    delete_head,
    delete_and_close_the_gap,
    reorder_seals,
    reorder_entries,
    truncate_entries,
    truncate_entries_and_seals,
    truncate_to_an_older_head,
    truncate_with_announcements,
    empty_the_log,
    swap_between_tenants,
    insert_entry,
    insert_change,
    rewrite_seals,
    rewrite_seals_and_heads,
    rewrite_and_sign,
)
