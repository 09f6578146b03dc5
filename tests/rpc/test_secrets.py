"""Secrets at rest: readable by their own row, tenant and master key, and by nothing else."""

import base64
from pathlib import Path

import pytest

from corebilling.secrets import MasterKeyInvalid, Secrets, SecretUnreadable, load_master_key
from corebilling.values.caller import Caller
from tests.support.app import MASTER_KEY, App, app

__all__ = ["app"]


def caller(tenant_id: str) -> Caller:
    return Caller(tenant_id, actor="test", role="owner", permissions=frozenset())


async def encrypt(app: App, secrets: Secrets, text: bytes = b"whsec", row: str = "whk_1") -> bytes:
    async with app.pool.transaction(caller(app.tenant_id)) as tx:
        return await secrets.encrypt(tx, text, row)


async def decrypt(
    app: App, secrets: Secrets, ciphertext: bytes, row: str = "whk_1", tenant_id: str = ""
) -> bytes:
    async with app.pool.transaction(caller(tenant_id or app.tenant_id)) as tx:
        return await secrets.decrypt(tx, ciphertext, row)


async def test_secret_is_read_back_by_another_process_with_the_same_master_key(app: App) -> None:
    sealed = await encrypt(app, Secrets(MASTER_KEY))
    assert b"whsec" not in sealed
    assert await decrypt(app, Secrets(MASTER_KEY), sealed) == b"whsec"


async def test_same_secret_never_looks_the_same(app: App) -> None:
    secrets = Secrets(MASTER_KEY)
    assert await encrypt(app, secrets) != await encrypt(app, secrets)


async def test_secret_moved_to_another_row_is_unreadable(app: App) -> None:
    sealed = await encrypt(app, app.secrets)
    with pytest.raises(SecretUnreadable):
        await decrypt(app, app.secrets, sealed, row="whk_2")


async def test_secret_moved_to_another_tenant_is_unreadable(app: App) -> None:
    other = await app.new_tenant("other")
    sealed = await encrypt(app, app.secrets)
    with pytest.raises(SecretUnreadable):
        await decrypt(app, app.secrets, sealed, tenant_id=other)


async def test_secret_is_unreadable_under_another_master_key(app: App) -> None:
    sealed = await encrypt(app, app.secrets)
    with pytest.raises(SecretUnreadable):
        await decrypt(app, Secrets(bytes(32)), sealed)


@pytest.mark.parametrize("position", [0, 5, -1])
async def test_changed_secret_is_unreadable(app: App, position: int) -> None:
    sealed = bytearray(await encrypt(app, app.secrets))
    sealed[position] ^= 1
    with pytest.raises(SecretUnreadable):
        await decrypt(app, app.secrets, bytes(sealed))


async def test_data_key_that_was_rolled_back_is_not_used_again(app: App) -> None:
    class Undone(Exception):
        pass

    secrets = Secrets(MASTER_KEY)
    with pytest.raises(Undone):
        async with app.pool.transaction(caller(app.tenant_id)) as tx:
            await secrets.encrypt(tx, b"first", "whk_1")
            await secrets.encrypt(tx, b"second", "whk_2")
            raise Undone
    app.clock.advance(seconds=1)
    sealed = await encrypt(app, secrets)
    assert await decrypt(app, Secrets(MASTER_KEY), sealed) == b"whsec"


async def test_known_data_key_is_not_read_again(app: App) -> None:
    secrets = Secrets(MASTER_KEY)
    sealed = await encrypt(app, secrets)
    app.clock.advance(seconds=1)
    await decrypt(app, secrets, sealed)
    await app.database.admin("DELETE FROM tenant_keys")
    assert await decrypt(app, secrets, sealed) == b"whsec"
    with pytest.raises(SecretUnreadable):
        await decrypt(app, Secrets(MASTER_KEY), sealed)


def test_master_key_is_read_from_text_or_file(tmp_path: Path) -> None:
    text = base64.b64encode(MASTER_KEY).decode()
    file = tmp_path / "master.key"
    file.write_text(text + "\n")
    assert load_master_key(text, None) == load_master_key("", file) == MASTER_KEY


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"short").decode()])
def test_wrong_master_key_is_refused(text: str) -> None:
    with pytest.raises(MasterKeyInvalid, match="master key"):
        load_master_key(text, None)


def test_missing_master_key_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyInvalid, match="cannot be read"):
        load_master_key("", tmp_path / "none.key")
