"""`corebilling audit` as one runs it, against the platform and against files."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from corebilling.commands.audit_file import Unreadable, prove
from tests.rpc.test_customer import details, update
from tests.scenarios.test_event_commands import access, command
from tests.support.catalog import new_customer
from tests.support.platform import Platform


async def audit(platform: Platform, *arguments: str) -> str:
    code, out, err = await command("audit", *arguments, **access(platform))
    assert code == 0, err
    return out


@pytest.fixture
async def customer_id(platform: Platform) -> str:
    """Of a customer that was created and changed; both is sealed."""
    customer = await new_customer(platform, details=details(name="Ada", timezone="UTC"))
    await platform.app.sealer.run_once()
    await update(platform, customer.id, ["timezone"], timezone="Asia/Tokyo")
    await platform.app.sealer.run_once()
    return customer.id


async def test_list_shows_who_did_what_and_what_became_of_it(platform: Platform, customer_id: str) -> None:
    table = await audit(platform, "list", "--resource", customer_id)
    first, second = [line for line in table.splitlines() if customer_id in line]
    assert "UpdateCustomer" in first
    assert "127.0.0.1" in first
    assert "CreateCustomer" in second
    shown = await audit(platform, "list", "--action", "UpdateCustomer", "--changes")
    assert '+ {"version": 2, "timezone": "Asia/Tokyo"}' in shown
    assert '- {"version": 1, "timezone": "UTC"}' in shown


async def test_an_export_is_proven_without_the_platform(
    platform: Platform, customer_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    said = await audit(platform, "export", "--output", str(file))
    head = next(word for word in said.split() if word.count(":") == 1 and len(word) > 64)
    key = (await audit(platform, "key")).split()[0]

    nowhere = {"COREBILLING_TARGET": "127.0.0.1:1", "COREBILLING_API_KEY": ""}
    code, out, _ = await command("audit", "verify", str(file), "--public-key", key, "--head", head, **nowhere)
    assert (code, "The log is sound: entries 1 to 3" in out) == (0, True), out
    _, out, _ = await command("audit", "verify", str(file), **nowhere)
    assert "whoever made the file chose it" in out

    text = file.read_text()
    lines = text.splitlines(keepends=True)
    forged = tmp_path / "forged.jsonl"

    def faults(text: str, public_key: str = key) -> set[str]:
        forged.write_text(text)
        count, hash_ = head.split(":")
        return {
            str(finding.fault)
            for finding in prove(forged, public_key, (int(count), bytes.fromhex(hash_))).findings
        }

    assert faults(text) == set()
    assert faults(text.replace("Asia/Tokyo", "Asia/Kyoto")) == {"edited"}
    assert "missing" in faults("".join([*lines[:2], *lines[3:]]))
    assert "reordered" in faults("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    assert faults("".join(lines[:-1])) == {"missing"}
    # The last head vouches for all before it: one in between says when, and nothing that the last does not.
    between = next(i for i, line in enumerate(lines) if '"head"' in line)
    assert between < len(lines) - 1
    assert faults("".join([*lines[:between], *lines[between + 1 :]])) == set()
    # A shorter one that is sound in itself: only the head that was kept tells.
    shorter = "".join(lines[: 1 + next(i for i, line in enumerate(lines) if '"head"' in line)])
    assert faults(shorter) == {"truncated"}
    own_key = Ed25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    assert faults(text, own_key) == {"not_signed"}


async def test_an_export_goes_on_where_the_one_before_ended(
    platform: Platform, customer_id: str, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    await audit(platform, "export", "--output", str(file))
    count = json.loads(file.read_text().splitlines()[-1])["head"]["count"]
    await new_customer(platform)
    await platform.app.sealer.run_once()
    before = file.read_text()
    code, _, err = await command("audit", "export", "--output", str(file), **access(platform))
    assert (code, f"{file} is there already" in err, file.read_text() == before) == (1, True, True), err
    forced = ("audit", "export", "--output", str(file), "--force")
    code, _, _ = await command(*forced, COREBILLING_TARGET="127.0.0.1:1")
    assert (code, file.read_text() == before) == (1, True), "an export that fails takes nothing away"
    await audit(platform, "export", "--output", str(file), "--force", "--after", count)
    code, out, _ = await command("audit", "verify", str(file))
    assert (code, "sound: entries 4 to 4" in out) == (0, True), out


async def test_the_platform_proves_its_log_and_says_what_is_wrong(
    platform: Platform, customer_id: str
) -> None:
    said = await audit(platform, "verify")
    assert "The log is sound: 3 entries" in said
    await platform.rows("ALTER TABLE audit_entries DISABLE TRIGGER append_only")
    await platform.rows("UPDATE audit_entries SET actor = 'nobody' WHERE action LIKE '%UpdateCustomer'")
    code, out, _ = await command("audit", "verify", **access(platform))
    assert code == 1
    assert "edited" in out
    assert "The log is NOT sound" in out


async def test_what_is_no_export_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "something"
    for text in ("", "{}\n", "no json\n", '{"entry": {"id": "x"}}\n'):
        file.write_text(text)
        with pytest.raises(Unreadable, match=str(file)):
            prove(file, "", None)
    code, _, err = await command("audit", "verify", str(file))
    assert (code, bool(err)) == (2, True)
