"""Entries that changed very much: listed in part, exported and proven as a whole."""

from pathlib import Path

import pytest
from billing.audit.v1 import audit_pb2 as pb
from billing.audit.v1 import audit_service_pb2 as rpc
from billing.audit.v1.audit_service_pb2_grpc import AuditServiceStub

from corebilling.commands.audit_file import Unreadable, prove, write_record
from corebilling.rpc.answer import MAX_MESSAGE_BYTES
from tests.rpc.test_audit import export, verdict
from tests.rpc.test_audit_sealing import INSERT
from tests.scenarios.test_audit_commands import audit
from tests.support.catalog import new_customer
from tests.support.platform import Platform

LARGE = "aud_forged"
CHANGES = 500


@pytest.fixture
async def large(platform: Platform) -> None:
    """An entry with changes of 6 MiB, between others; all are sealed."""
    await new_customer(platform)
    await platform.rows(INSERT.format(columns="", values=""), platform.tenant_id, platform.clock.now())
    await platform.rows(
        "INSERT INTO audit_changes (tenant_id, audit_id, resource_type, resource_id, operation, new) "
        "SELECT $1, $2, 'prices', 'pri_' || n, 'insert', jsonb_build_object('text', repeat('x', 12500)) "
        "FROM generate_series(1, $3) n",
        platform.tenant_id,
        LARGE,
        CHANGES,
    )
    await new_customer(platform)
    await platform.app.sealer.run_once()


async def pages(platform: Platform, page_size: int) -> list[rpc.ListAuditEntriesResponse]:
    found: list[rpc.ListAuditEntriesResponse] = []
    token = ""
    while not found or token:
        request = rpc.ListAuditEntriesRequest(page_size=page_size, page_token=token)
        found.append(await platform.stub(AuditServiceStub).ListAuditEntries(request))
        token = found[-1].next_page_token
    return found


@pytest.mark.usefixtures("large")
async def test_pages_end_early_and_a_too_large_entry_says_how_many_changes_it_leaves_out(
    platform: Platform,
) -> None:
    found = await pages(platform, page_size=500)
    assert all(page.ByteSize() < MAX_MESSAGE_BYTES for page in found)
    everything = [entry for page in found for entry in page.entries]
    assert len({entry.id for entry in everything}) == len(everything) == 4
    (large,) = [entry for entry in everything if entry.id == LARGE]
    assert 0 < large.changes_omitted < CHANGES
    assert [change.resource_id for change in large.changes] == [
        f"pri_{number}" for number in range(1, CHANGES + 1 - large.changes_omitted)
    ]
    assert {entry.changes_omitted for entry in everything if entry.id != LARGE} == {0}


@pytest.mark.usefixtures("large")
async def test_an_export_holds_it_whole_and_is_proven(platform: Platform, tmp_path: Path) -> None:
    assert (await verdict(platform))[0].sound
    records = await export(platform)
    (at,) = [number for number, record in enumerate(records) if record.entry.id == LARGE]
    entry = records[at].entry
    rest = [record.change for record in records[at + 1 :] if record.HasField("change")]
    assert entry.changes_omitted == len(rest) == CHANGES - len(entry.changes)

    def faults(records: list[rpc.ExportAuditEntriesResponse]) -> set[str]:
        file = tmp_path / "audit.jsonl"
        with file.open("w") as out:
            for record in records:
                write_record(record, out)
        return {finding.fault for finding in prove(file, "", None).findings}

    assert faults(records) == set()
    assert faults(records[: at + 1] + records[at + 2 :]) == {"edited"}
    forged = rpc.ExportAuditEntriesResponse(change=pb.AuditChange(resource_type="prices"))
    assert faults([*records[:at], forged, *records[at:]]) == {"edited"}
    with pytest.raises(Unreadable):
        faults([records[0], forged, *records[1:]])


@pytest.mark.usefixtures("large")
async def test_the_command_says_that_there_are_more_changes(platform: Platform) -> None:
    shown = await audit(platform, "list", "--changes")
    (more,) = [line for line in shown.splitlines() if "more changes" in line]
    assert more.startswith(LARGE)
