"""API keys through the server: what they open, for how long, and what is kept of them."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from billing.access.v1 import access_service_pb2 as rpc
from billing.access.v1 import api_key_pb2 as pb
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub

from corebilling.domains.access.model import OF_ONE_ACCOUNT, PERMISSIONS
from corebilling.domains.access.service import AccessService
from corebilling.mapping import instant, timestamp
from corebilling.values.api_key import api_key_id, new_api_key
from corebilling.values.caller import Caller
from corebilling.values.ids import PLATFORM_TENANT, new_id
from tests.support.app import CACHE_S, App, app, refused

if TYPE_CHECKING:
    from billing.access.v1.access_service_pb2_grpc import AccessServiceAsyncStub

__all__ = ["app"]

UNKNOWN_KEY = new_api_key().text


def access(app: App, key: str | None = None) -> "AccessServiceAsyncStub":
    return app.stub(AccessServiceStub, key=key)


def creation(request_id: str = "", **fields: Any) -> rpc.CreateApiKeyRequest:
    values: dict[str, Any] = {"name": "ci", "role": pb.ROLE_VIEWER, **fields}
    return rpc.CreateApiKeyRequest(request_id=request_id or new_id("req"), **values)


async def list_customers(app: App, key: str | None, tenant_id: str = "") -> Any:
    stub = app.stub(CustomerServiceStub, key=key)
    return await stub.ListCustomers(customer_service_pb2.ListCustomersRequest(tenant_id=tenant_id))


async def create_customer(app: App, key: str | None, tenant_id: str = "") -> Any:
    request = customer_service_pb2.CreateCustomerRequest(
        tenant_id=tenant_id, request_id=new_id("req"), currency="EUR"
    )
    request.details.name = "Ada"
    return await app.stub(CustomerServiceStub, key=key).CreateCustomer(request)


async def test_new_key_is_shown_once_and_only_its_hash_is_kept(app: App) -> None:
    created = await access(app).CreateApiKey(creation())
    key = created.api_key
    assert api_key_id(created.secret) == key.id
    assert created.secret.startswith(key.prefix)
    assert (key.tenant_id, key.name, key.role) == (app.tenant_id, "ci", pb.ROLE_VIEWER)
    await list_customers(app, created.secret)

    (row,) = await app.database.admin("SELECT * FROM api_keys WHERE id = $1", key.id)
    assert row["secret_hash"] == app.secrets.hash_api_key(created.secret)
    for table in ("api_keys", "request_keys", "billing_events", "audit_entries"):
        rows = await app.database.admin(f"SELECT t::text AS text, t.* FROM {table} t")
        secret = created.secret.rpartition("_")[2]
        assert not any(secret in row["text"] or secret.encode().hex() in row["text"] for row in rows)


async def test_repeated_creation_returns_the_first_key_without_its_secret(app: App) -> None:
    first = await access(app).CreateApiKey(creation("req-1"))
    again = await access(app).CreateApiKey(creation("req-1"))
    assert again.api_key == first.api_key
    assert (first.secret != "", again.secret) == (True, "")
    assert len(await app.database.admin("SELECT FROM api_keys WHERE name = 'ci'")) == 1


async def test_creating_and_revoking_are_announced(app: App) -> None:
    key = (await access(app).CreateApiKey(creation())).api_key
    await access(app).RevokeApiKey(rpc.RevokeApiKeyRequest(request_id="r", api_key_id=key.id))
    events = await app.database.admin(
        "SELECT subject, resource_version, tenant_id FROM billing_events WHERE resource_id = $1 "
        "ORDER BY resource_version",
        key.id,
    )
    assert [tuple(event) for event in events] == [
        ("api_key.created", 1, app.tenant_id),
        ("api_key.revoked", 2, app.tenant_id),
    ]


async def test_revoked_key_is_refused_within_seconds(app: App) -> None:
    created = await access(app).CreateApiKey(creation())
    await list_customers(app, created.secret)
    revocation = rpc.RevokeApiKeyRequest(request_id="r", api_key_id=created.api_key.id)
    revoked = (await access(app).RevokeApiKey(revocation)).api_key
    assert instant(revoked.revoked_at) == app.clock.now()

    app.clock.advance(seconds=CACHE_S)
    refusal = await refused(list_customers(app, created.secret))
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIAL_INVALID")


async def test_revoking_twice_keeps_the_first_moment(app: App) -> None:
    key_id = (await access(app).CreateApiKey(creation())).api_key.id
    first = await access(app).RevokeApiKey(rpc.RevokeApiKeyRequest(request_id="a", api_key_id=key_id))
    app.clock.advance(hours=1)
    second = await access(app).RevokeApiKey(rpc.RevokeApiKeyRequest(request_id="b", api_key_id=key_id))
    assert second == first
    events = await app.database.admin(
        "SELECT FROM billing_events WHERE resource_id = $1 AND subject = 'api_key.revoked'", key_id
    )
    assert len(events) == 1


async def test_expired_key_is_refused_at_that_moment(app: App) -> None:
    expires_at = app.clock.now() + timedelta(seconds=2)
    created = await access(app).CreateApiKey(creation(expires_at=timestamp(expires_at)))
    app.clock.advance(seconds=1.9)
    await list_customers(app, created.secret)
    app.clock.advance(seconds=0.1)
    refusal = await refused(list_customers(app, created.secret))
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIAL_INVALID")


async def test_key_that_has_expired_already_is_not_created(app: App) -> None:
    refusal = await refused(access(app).CreateApiKey(creation(expires_at=timestamp(app.clock.now()))))
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("expires_at",))


def revocation(key_id: str) -> rpc.RevokeApiKeyRequest:
    return rpc.RevokeApiKeyRequest(request_id=new_id("req"), api_key_id=key_id)


def rotation(key_id: str, **fields: Any) -> rpc.RotateApiKeyRequest:
    return rpc.RotateApiKeyRequest(request_id=new_id("req"), api_key_id=key_id, **fields)


async def test_rotated_key_works_on_for_the_overlap(app: App) -> None:
    created = await access(app).CreateApiKey(creation(scopes=["customer.read", "api_key.read"]))
    old = created.api_key
    answer = await access(app).RotateApiKey(rotation(old.id, overlap=timedelta(hours=2)))
    assert (answer.rotated.id, answer.rotated.replaced_by) == (old.id, answer.api_key.id)
    assert instant(answer.rotated.expires_at) == app.clock.now() + timedelta(hours=2)
    assert (answer.api_key.name, answer.api_key.role) == (old.name, old.role)
    assert answer.api_key.scopes == old.scopes == ["api_key.read", "customer.read"]
    assert not answer.api_key.HasField("expires_at")
    shown = await access(app).GetApiKey(rpc.GetApiKeyRequest(api_key_id=old.id))
    assert shown.api_key == answer.rotated
    for key in (created.secret, answer.secret):
        await list_customers(app, key)
    app.clock.advance(hours=2)
    await list_customers(app, answer.secret)
    refusal = await refused(list_customers(app, created.secret))
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIAL_INVALID")
    events = await app.database.admin(
        "SELECT subject, resource_version FROM billing_events WHERE resource_id = $1 "
        "ORDER BY resource_version",
        old.id,
    )
    assert [tuple(event) for event in events] == [("api_key.created", 1), ("api_key.rotated", 2)]


async def test_repeated_rotation_returns_the_first_new_key_without_its_secret(app: App) -> None:
    key_id = (await access(app).CreateApiKey(creation())).api_key.id
    request = rotation(key_id)
    first, again = [await access(app).RotateApiKey(request) for _ in range(2)]
    assert again.api_key == first.api_key
    assert instant(first.rotated.expires_at) == app.clock.now() + timedelta(days=1)
    assert (first.secret != "", again.secret) == (True, "")


async def test_rotated_key_ends_no_later_than_it_would_have(app: App) -> None:
    expires_at = app.clock.now() + timedelta(hours=1)
    created = await access(app).CreateApiKey(creation(expires_at=timestamp(expires_at)))
    answer = await access(app).RotateApiKey(rotation(created.api_key.id))
    assert instant(answer.rotated.expires_at) == expires_at


@pytest.mark.parametrize("status", ["revoked", "rotated", "expired"])
async def test_what_is_over_is_not_rotated(app: App, status: str) -> None:
    expires_at = app.clock.now() + timedelta(hours=1)
    key_id = (await access(app).CreateApiKey(creation(expires_at=timestamp(expires_at)))).api_key.id
    if status == "revoked":
        await access(app).RevokeApiKey(rpc.RevokeApiKeyRequest(request_id="r", api_key_id=key_id))
    elif status == "rotated":
        await access(app).RotateApiKey(rotation(key_id))
    else:
        app.clock.advance(hours=1)
    refusal = await refused(access(app).RotateApiKey(rotation(key_id)))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "API_KEY_NOT_ROTATABLE")
    assert refusal.facts == {"api_key_id": key_id, "status": status}


async def test_scopes_limit_what_a_role_may_do(app: App) -> None:
    scoped = await access(app).CreateApiKey(creation(role=pb.ROLE_OWNER, scopes=["customer.read"]))
    await list_customers(app, scoped.secret)
    refusal = await refused(create_customer(app, scoped.secret))
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
    assert refusal.facts == {"permission": "customer.write"}
    assert "The role owner, or the key's scopes, lack the permission" in refusal.message


@pytest.mark.parametrize("scope", ["customer.write", "customer", "*", "tenant.write"])
async def test_scope_that_the_role_lacks_is_refused(app: App, scope: str) -> None:
    refusal = await refused(access(app).CreateApiKey(creation(scopes=["customer.read", scope])))
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("scopes",))


async def test_nobody_makes_or_ends_a_key_that_may_do_more_than_they(app: App) -> None:
    own = ["api_key.write", "customer.read"]
    scoped = await access(app).CreateApiKey(creation(role=pb.ROLE_OWNER, scopes=own))
    made = await access(app, scoped.secret).CreateApiKey(creation(scopes=["customer.read"]))
    await list_customers(app, made.secret)
    await access(app, scoped.secret).RevokeApiKey(revocation(made.api_key.id))
    tenant_key = api_key_id(app.tenant_key)
    assert tenant_key is not None
    for call in (
        access(app, scoped.secret).CreateApiKey(creation(role=pb.ROLE_OWNER)),
        access(app, scoped.secret).CreateApiKey(creation(scopes=["invoice.read"])),
        access(app, scoped.secret).RotateApiKey(rotation(tenant_key)),
        access(app, scoped.secret).RevokeApiKey(revocation(tenant_key)),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
        assert "may do more than yours" in refusal.message
    await list_customers(app, None)
    # Its own, at any time: it may be in wrong hands.
    await access(app, scoped.secret).RevokeApiKey(revocation(scoped.api_key.id))


async def test_unknown_key_to_revoke_is_not_found(app: App) -> None:
    refusal = await refused(
        access(app).RevokeApiKey(rpc.RevokeApiKeyRequest(request_id="r", api_key_id="key_none"))
    )
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "API_KEY_NOT_FOUND")
    assert refusal.facts == {"api_key_id": "key_none"}


async def test_another_tenants_keys_can_be_neither_seen_nor_revoked(app: App) -> None:
    other = await app.new_tenant("other")
    stranger = await app.new_key(other)
    own_key = api_key_id(app.tenant_key)
    assert own_key is not None
    listed = await access(app, stranger).ListApiKeys(rpc.ListApiKeysRequest())
    assert [key.id for key in listed.api_keys] == [api_key_id(stranger)]
    refusal = await refused(
        access(app, stranger).RevokeApiKey(rpc.RevokeApiKeyRequest(request_id="r", api_key_id=own_key))
    )
    assert refusal.reason == "API_KEY_NOT_FOUND"


async def test_keys_are_listed_by_pages_newest_first(app: App) -> None:
    made = [(await access(app).CreateApiKey(creation())).api_key.id for _ in range(3)]
    first = await access(app).ListApiKeys(rpc.ListApiKeysRequest(page_size=2))
    assert [key.id for key in first.api_keys] == made[:0:-1]
    rest = await access(app).ListApiKeys(
        rpc.ListApiKeysRequest(page_size=2, page_token=first.next_page_token)
    )
    assert [key.id for key in rest.api_keys] == [made[0], api_key_id(app.tenant_key)]
    assert rest.next_page_token == ""


async def test_call_without_a_key_is_refused(app: App) -> None:
    refusal = await refused(list_customers(app, ""))
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIAL_MISSING")


@pytest.mark.parametrize(
    "key",
    [UNKNOWN_KEY, "nonsense", UNKNOWN_KEY[:-1], UNKNOWN_KEY + "0", UNKNOWN_KEY.upper()],
    ids=["unknown", "nonsense", "too short", "too long", "upper case"],
)
async def test_key_nobody_made_is_refused(app: App, key: str) -> None:
    refusal = await refused(list_customers(app, key))
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIAL_INVALID")


async def test_known_id_with_another_secret_is_refused(app: App) -> None:
    forged = new_api_key()
    own_id = api_key_id(app.tenant_key)
    await app.database.admin("UPDATE api_keys SET id = $1 WHERE id = $2", forged.id, own_id)
    refusal = await refused(list_customers(app, forged.text))
    assert refusal.reason == "CREDENTIAL_INVALID"


async def test_key_is_also_taken_as_bearer(app: App) -> None:
    stub = app.stub(CustomerServiceStub, key="")
    request = customer_service_pb2.ListCustomersRequest()
    for scheme in ("Bearer", "bearer"):
        await stub.ListCustomers(request, metadata=(("authorization", f"{scheme} {app.tenant_key}"),))
    refusal = await refused(
        stub.ListCustomers(request, metadata=(("authorization", f"Basic {app.tenant_key}"),))
    )
    assert refusal.reason == "CREDENTIAL_MISSING"


async def test_naming_the_own_tenant_is_allowed_and_another_is_not(app: App) -> None:
    await list_customers(app, None, app.tenant_id)
    refusal = await refused(list_customers(app, None, await app.new_tenant("other")))
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "TENANT_MISMATCH")


async def test_platform_key_acts_for_the_tenant_it_names(app: App) -> None:
    other = await app.new_tenant("other")
    customer = (await create_customer(app, app.platform_key, other)).customer
    (row,) = await app.database.admin("SELECT tenant_id FROM customers WHERE id = $1", customer.id)
    assert row["tenant_id"] == other
    assert [c.id for c in (await list_customers(app, app.platform_key, other)).customers] == [customer.id]
    assert not (await list_customers(app, None)).customers


async def test_platform_key_must_name_a_tenant(app: App) -> None:
    refusal = await refused(list_customers(app, app.platform_key))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "TENANT_REQUIRED")


@pytest.mark.parametrize(
    "tenant_id", ["ten_nobody", "ten_'; DROP TABLE tenants; --", "cus_1", "ten_A", "ten_x\n", "x" * 10_000]
)
async def test_platform_key_cannot_act_for_a_tenant_that_does_not_exist(app: App, tenant_id: str) -> None:
    refusal = await refused(list_customers(app, app.platform_key, tenant_id))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "TENANT_NOT_FOUND")


@pytest.mark.parametrize("status", ["suspended", "closed"])
async def test_keys_of_an_inactive_tenant_are_refused(app: App, status: str) -> None:
    await app.database.admin("UPDATE tenants SET status = $1 WHERE id = $2", status, app.tenant_id)
    refusal = await refused(list_customers(app, None))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "TENANT_NOT_ACTIVE")
    assert refusal.facts == {"tenant_id": app.tenant_id, "status": status}
    await list_customers(app, app.platform_key, app.tenant_id)


@pytest.mark.parametrize(
    ("role", "may_create_keys", "may_create_customers"),
    [
        (pb.ROLE_OWNER, True, True),
        (pb.ROLE_BILLING_ADMIN, False, True),
        (pb.ROLE_OPERATOR, False, False),
        (pb.ROLE_VIEWER, False, False),
    ],
)
async def test_roles_open_what_they_should(
    app: App, role: int, may_create_keys: bool, may_create_customers: bool
) -> None:
    key = await app.new_key(app.tenant_id, role)
    await list_customers(app, key)
    if may_create_customers:
        await create_customer(app, key)
    else:
        refusal = await refused(create_customer(app, key))
        assert (refusal.reason, refusal.facts) == ("PERMISSION_MISSING", {"permission": "customer.write"})
        assert "lacks the permission customer.write" in refusal.message, "no scopes: the key has none"
    if may_create_keys:
        await access(app, key).CreateApiKey(creation())
    else:
        refusal = await refused(access(app, key).CreateApiKey(creation()))
        assert (refusal.reason, refusal.facts) == ("PERMISSION_MISSING", {"permission": "api_key.write"})


async def test_no_key_for_the_platform_is_made_by_call(app: App) -> None:
    refusal = await refused(access(app).CreateApiKey(creation(role=pb.ROLE_PLATFORM_ADMIN)))
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("role",))


async def test_first_platform_key_is_made_only_while_there_is_none(app: App) -> None:
    platform = Caller(PLATFORM_TENANT, actor="test", role="platform_admin", permissions=frozenset())
    service = AccessService(app.secrets)
    async with app.pool.transaction(platform) as tx:
        assert await service.ensure_platform_key(tx) is None
    await app.database.admin("UPDATE api_keys SET revoked_at = now() WHERE role = 'platform_admin'")
    async with app.pool.transaction(platform) as tx:
        assert await service.ensure_platform_key(tx) is not None


def test_every_role_has_permissions() -> None:
    of_keys = {name.removeprefix("ROLE_").lower() for name in pb.Role.keys()[1:]}
    assert set(PERMISSIONS) == of_keys | OF_ONE_ACCOUNT
