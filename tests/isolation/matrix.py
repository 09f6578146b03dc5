"""Two tenants, everything that may not be between them, and what of the one reached the other."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jwt

from corebilling.domains.access.model import PERMISSIONS, Role
from corebilling.mapping import timestamp
from corebilling.rpc.method import Method
from corebilling.values.api_key import new_api_key
from tests.support.issuer import SECRET, TestIssuer, bearer
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.requests.calling import METHODS, Answer, Caller, Headers, with_key
from tests.support.requests.making import Requests
from tests.support.requests.world import BY_NAME, SETTINGS, World, make_failing, new_world

VICTIM, STRANGER = "kestrel", "heron"
TOKEN_INVALID = "UNAUTHENTICATED TOKEN_INVALID"
INVALID = "UNAUTHENTICATED CREDENTIAL_INVALID"
MISMATCH = "PERMISSION_DENIED TENANT_MISMATCH"
MISSING = "PERMISSION_DENIED PERMISSION_MISSING"
NOT_THEIRS = "PERMISSION_DENIED METHOD_NOT_YOURS"
ANY_REFUSAL = "a refusal"
TENANT_ROLES = (Role.VIEWER, Role.OPERATOR, Role.BILLING_ADMIN, Role.OWNER)
GET = BY_NAME["GetBranding"]

_ID = re.compile(rb"[a-z]{2,4}_[0-9a-z]{26}")
_MARKED = re.compile(VICTIM.encode() + rb"[\w.@-]*")
_COLUMNS = (
    "SELECT c.relname, bool_or(a.attname = 'tenant_id') AS by_tenant "
    "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
    "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
    "GROUP BY c.relname ORDER BY c.relname"
)


@dataclass(frozen=True)
class Credential:
    """One that does not open what is asked with it, and what its holder is told."""

    name: str
    headers: Headers
    told: str = ""
    """Whatever is called; '' when the credential is good, but not for everything."""
    may: frozenset[str] = frozenset()
    of_stranger: bool = False
    of_one_account: bool = False
    """Its holder sees what is their own, and none of it is."""

    def expected(self, method: Method) -> str | None:
        """None where its holder may call."""
        if self.told:
            return self.told
        if method.permission not in self.may or not method.tenant_scoped:
            return MISSING
        if self.of_stranger:
            return MISMATCH
        if self.of_one_account:
            return NOT_THEIRS if method.account is None else ANY_REFUSAL if method.account.own else None
        return None


@dataclass
class Worlds:
    """The victim's, all of it known, and the stranger's."""

    platform: Platform
    caller: Caller
    victim: Requests
    stranger: Requests
    tables: Mapping[str, str]
    victim_ids: frozenset[bytes] = frozenset()
    asked: dict[Method, Any] = field(default_factory=dict)
    """What the victim, or an operator, asked by each method and was answered."""
    page_tokens: dict[Method, str] = field(default_factory=dict)
    said: set[bytes] = field(default_factory=set)
    """What the stranger has named of the victim's, and of nobody's."""
    _sums: dict[str, str] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)

    async def ask_everything(self) -> None:
        """Each method once, as who may: so that a refusal of others says something."""
        world = self.victim.world
        for method in METHODS:
            request = await self.victim.valid(method)
            if method.tenant_scoped:
                request.tenant_id = world.tenant_id
            if "page_token" in method.request_class.DESCRIPTOR.fields_by_name:
                request.page_size = 1
            key = world.owner_key if method.tenant_scoped else self.platform.operator_key
            answer = await self.caller.call(method, request, with_key(key))
            if answer.code != "OK":
                self.unanswered.append(f"{method.full_name}: {answer.told} {answer.message}")
            elif "next_page_token" in method.response_class.DESCRIPTOR.fields_by_name:
                response: Any = method.response_class.FromString(answer.responses[0])
                self.page_tokens[method] = response.next_page_token
            self.asked[method] = request
        await self.platform.drain()

    async def settle(self) -> None:
        """What is under way is done, the victim's things are known, and nobody has said anything."""
        await self.platform.drain()
        await self.platform.rows(
            "DELETE FROM request_keys WHERE tenant_id = $1", self.stranger.world.tenant_id
        )
        await self._learn_ids()
        self._sums = await self._checksums()

    def leaks(self, answer: Answer) -> set[bytes]:
        """What the answer tells of the victim that no caller has said."""
        told = answer.bytes
        for text in self.said:
            told = told.replace(text, b"")
        return {text for text in _ID.findall(told) if text in self.victim_ids} | set(_MARKED.findall(told))

    async def open_the_wall(self) -> None:
        """From now on the database shows everybody everything."""
        await asyncio.gather(
            *(self.platform.rows(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY") for table in self.tables)
        )

    async def changed(self) -> list[str]:
        """Tables in which the victim's rows are others than when this was asked before."""
        before, self._sums = self._sums, await self._checksums()
        return [table for table, value in self._sums.items() if value != before[table]]

    async def _checksums(self) -> dict[str, str]:
        """Of all of the victim's rows, by table."""
        each = [
            f"SELECT '{table}' AS name, md5(string_agg(t::text, '' ORDER BY t::text)) AS sum "
            f"FROM {table} t WHERE {owner} = $1"
            for table, owner in self.tables.items()
        ]
        rows = await self.platform.rows(" UNION ALL ".join(each), self.victim.world.tenant_id)
        return {row["name"]: row["sum"] for row in rows}

    async def _learn_ids(self) -> None:
        """Every id in any of the victim's rows."""
        found: set[bytes] = set()
        for table, owner in self.tables.items():
            rows = await self.platform.rows(
                f"SELECT t::text AS text FROM {table} t WHERE {owner} = $1", self.victim.world.tenant_id
            )
            found.update(*(_ID.findall(row["text"].encode()) for row in rows))
        self.victim_ids = frozenset(found)


@asynccontextmanager
async def two_worlds(database: TestDatabase) -> AsyncIterator[Worlds]:
    async with running_platform(database, **SETTINGS, jwt_secret=SECRET) as platform:
        await make_failing(platform)
        caller = Caller(platform.app.grpc_address)
        victim = await new_world(platform, caller, VICTIM)
        stranger = await new_world(platform, caller, STRANGER)
        rows = await platform.rows(_COLUMNS)
        tables = {row["relname"]: "tenant_id" for row in rows if row["by_tenant"]}
        yield Worlds(
            platform,
            caller,
            Requests(victim, await victim.now()),
            Requests(stranger, await stranger.now()),
            {**tables, "tenants": "id"},
        )
        await caller.close()


async def credentials(worlds: Worlds) -> Sequence[Credential]:
    """All that must open nothing. Another kind of credential wants another line."""
    victim = worlds.victim.world
    soon = timestamp(worlds.platform.clock.now() + timedelta(seconds=1))
    expired = await victim.api_key("ROLE_OWNER", expires_at=soon)
    revoked = await victim.api_key("ROLE_OWNER")
    await victim.do("RevokeApiKey", api_key_id=revoked.api_key.id)
    worlds.platform.clock.advance(minutes=1)
    everything = PERMISSIONS[Role.OWNER]
    table = [
        Credential("nothing", (), "UNAUTHENTICATED CREDENTIAL_MISSING"),
        Credential("unknown", with_key(new_api_key().text), INVALID),
        Credential("no key", with_key(VICTIM), INVALID),
        Credential("expired", with_key(expired.secret), INVALID),
        Credential("revoked", with_key(revoked.secret), INVALID),
        Credential("stranger", with_key(worlds.stranger.world.owner_key), may=everything, of_stranger=True),
        *tokens(victim, worlds.stranger.world),
    ]
    for role in TENANT_ROLES:
        key = (await victim.api_key(f"ROLE_{role.upper()}")).secret
        table.append(Credential(role, with_key(key), may=PERMISSIONS[role]))
    for permission in sorted(everything):
        scopes = everything - {permission}
        key = (await victim.api_key("ROLE_OWNER", scopes=sorted(scopes))).secret
        table.append(Credential("scopes", with_key(key), may=scopes))
    for credential in table:
        # That a key was used is written of it: it shall be by now.
        await worlds.caller.call(GET, GET.request_class(), credential.headers)
    return table


def tokens(victim: World, stranger: World) -> Sequence[Credential]:
    """Of people: forged, of others, and of those who are not whom they ask about."""
    clock = victim.platform.clock
    issuer = TestIssuer(clock, victim.tenant_id)
    forged = {
        "alg=none": jwt.encode(dict(issuer.claims("admin")), "", "none"),
        "wrong signature": TestIssuer(clock, victim.tenant_id, key="x" * 40).token("admin"),
        "wrong issuer": TestIssuer(clock, victim.tenant_id, name="somebody").token("admin"),
        "wrong audience": issuer.token("admin", aud="somebody"),
        "expired token": issuer.token("admin", exp=clock.now() - timedelta(hours=1)),
    }
    strangers = TestIssuer(clock, stranger.tenant_id).token("admin")
    return [
        *(Credential(name, bearer(token), TOKEN_INVALID) for name, token in forged.items()),
        Credential(
            "stranger's token", bearer(strangers), may=PERMISSIONS[Role.BILLING_ADMIN], of_stranger=True
        ),
        *(
            Credential(role, bearer(issuer.token(role)), may=PERMISSIONS[role], of_one_account=True)
            for role in (Role.CONSUMER, Role.CREATOR)
        ),
    ]
