"""When a key was last used: to see whether somebody still needs it."""

from datetime import datetime, timedelta

from billing.access.v1 import access_service_pb2 as rpc

from corebilling.mapping import instant, timestamp
from tests.rpc.test_access import access, creation, list_customers
from tests.support.app import CACHE_S, App, app, refused

__all__ = ["app"]


async def last_use(app: App, key_id: str) -> datetime | None:
    key = (await access(app).GetApiKey(rpc.GetApiKeyRequest(api_key_id=key_id))).api_key
    return instant(key.last_used_at) if key.HasField("last_used_at") else None


async def test_last_use_is_noted_once_a_minute(app: App) -> None:
    created = await access(app).CreateApiKey(creation())
    key_id = created.api_key.id
    assert await last_use(app, key_id) is None
    await list_customers(app, created.secret)
    first = app.clock.now()
    assert await last_use(app, key_id) == first
    app.clock.advance(seconds=CACHE_S)
    await list_customers(app, created.secret)
    assert await last_use(app, key_id) == first
    app.clock.advance(seconds=60)
    await list_customers(app, created.secret)
    assert await last_use(app, key_id) == app.clock.now()


async def test_what_is_refused_is_no_use_of_a_key(app: App) -> None:
    expires_at = app.clock.now() + timedelta(hours=1)
    created = await access(app).CreateApiKey(creation(expires_at=timestamp(expires_at)))
    await list_customers(app, created.secret)
    first = app.clock.now()
    app.clock.advance(minutes=10)
    await app.database.admin("UPDATE tenants SET status = 'suspended' WHERE id = $1", app.tenant_id)
    assert (await refused(list_customers(app, created.secret))).reason == "TENANT_NOT_ACTIVE"
    await app.database.admin("UPDATE tenants SET status = 'active' WHERE id = $1", app.tenant_id)
    assert await last_use(app, created.api_key.id) == first
    app.clock.advance(hours=2)
    assert (await refused(list_customers(app, created.secret))).reason == "CREDENTIAL_INVALID"
    assert await last_use(app, created.api_key.id) == first
