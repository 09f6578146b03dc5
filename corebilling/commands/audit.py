"""`corebilling audit`: who did what, and the proof that nobody changed the record of it."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer
from billing.audit.v1 import audit_pb2 as pb
from billing.audit.v1 import audit_service_pb2 as rpc
from billing.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table

from corebilling.client import Client
from corebilling.commands.audit_file import Proof, Unreadable, positions, prove, write_record
from corebilling.commands.connection import (
    TARGET,
    ApiKey,
    Target,
    Tenant,
    failure,
    moment,
    print_table,
    problems,
    run,
    say,
)
from corebilling.commands.tls import ClientApp
from corebilling.domains.audit.messages import finding_message
from corebilling.mapping import enum_text, instant, timestamp

audit_app = ClientApp(no_args_is_help=True, help="Who did what; and the proof that nobody changed it since.")

_PAGE = 100
_UNREADABLE = 2

Head = Annotated[
    str, typer.Option(metavar="COUNT:HASH", help="A head that you kept: what audit.sealed announced.")
]


@audit_app.command("list")
def list_entries(
    actor: Annotated[str, typer.Option(help="An API key's id.")] = "",
    action: Annotated[str, typer.Option(help="A method, as in UpdateCustomer.")] = "",
    resource: Annotated[str, typer.Option(help="What changed, as in cus_….")] = "",
    start: Annotated[
        datetime | None, typer.Option("--from", parser=moment, metavar="TIME", help="UTC.")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--until", parser=moment, metavar="TIME", help="UTC, not included.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    changes: Annotated[bool, typer.Option("--changes", help="With old and new of each row.")] = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints who did what, from where and why, newest first."""
    request = rpc.ListAuditEntriesRequest(
        tenant_id=tenant,
        actor=actor,
        action=action,
        resource_id=resource,
        from_time=_time(start),
        until_time=_time(end),
    )
    entries = run(target, api_key, lambda client: _entries(client, request, limit))
    table = Table("time", "actor", "action", "changed", "ip", "sealed as", "reason")
    for entry in entries:
        table.add_row(
            f"{instant(entry.occurred_at):%Y-%m-%d %H:%M:%S}",
            entry.actor,
            entry.action.rpartition("/")[2],
            _resources(entry.changes),
            entry.ip,
            str(entry.seal.position) if entry.HasField("seal") else "not yet",
            entry.reason,
        )
    print_table(table)
    if changes:
        for entry in entries:
            _say_changes(entry)
    if len(entries) == limit:
        say("There may be more: name a larger --limit.")
    say("Next: corebilling audit list --changes shows old and new; corebilling audit verify proves the log.")


@audit_app.command()
def export(
    output: Annotated[Path, typer.Option(help="- for standard output.")] = Path("audit.jsonl"),
    after: Annotated[
        int, typer.Option(min=0, help="Where an export before ended: only what was sealed since.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Writes the sealed log, a record a line, with its seals and signed heads: keep it elsewhere.

    What is there already is kept, unless --force: it may prove what the platform no longer does.
    """
    request = rpc.ExportAuditEntriesRequest(tenant_id=tenant, after_position=after)
    try:
        if str(output) == "-":
            run(target, api_key, lambda client: _write(client, request, sys.stdout))
            return
        if output.exists() and not (force and output.is_file()):
            raise failure(
                f"{output} is there already: name another --output, or write over a file by --force."
            )
        # Beside it, so that an export that fails takes nothing away.
        unfinished = output.with_name(f"{output.name}.unfinished")
        try:
            with unfinished.open("w", encoding="utf-8") as out:
                head = run(target, api_key, lambda client: _write(client, request, out))
            unfinished.replace(output)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise failure(f"{output} cannot be written: {error.strerror}.") from None
    if not head.count:
        say(f"Nothing is sealed yet: {output} holds the key alone. Repeat it in a minute.")
        return
    say(f"Wrote {output}, up to entry {head.count}. Keep with it: --head {head.count}:{head.hash}")
    say(f"Next: corebilling audit verify {output}")


@audit_app.command()
def verify(
    file: Annotated[
        Path | None, typer.Argument(help="What `audit export` wrote: nothing else is needed then.")
    ] = None,
    public_key: Annotated[
        str, typer.Option(help="Of a file: the key to trust, or several with commas; see `audit key`.")
    ] = "",
    head: Head = "",
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Proves the log: works out every hash again, and checks every signature.

    Exits with 1 when something is wrong, and with 2 when the file cannot be read.
    """
    kept = _kept(head)
    if file is not None:
        _verify_file(file, public_key, kept)
        return
    request = rpc.VerifyAuditLogRequest(
        tenant_id=tenant, kept_count=kept[0] if kept else 0, kept_hash=kept[1].hex() if kept else ""
    )
    answers = run(target, api_key, lambda client: _verdict(client, request))
    findings = [finding for answer in answers for finding in answer.findings]
    last = answers[-1]
    _judge(findings, sound=last.sound, what=f"{last.checked} entries")
    if last.head.count:
        say(f"Keep this head, to hold the log against it later: --head {last.head.count}:{last.head.hash}")


@audit_app.command()
def key(target: Target = TARGET, api_key: ApiKey = "", tenant: Tenant = "") -> None:
    """Prints the public key that heads are signed with: keep it apart from the exports it is to prove."""

    async def work(client: Client) -> rpc.GetAuditKeyResponse:
        return await client.stub(AuditServiceStub).GetAuditKey(rpc.GetAuditKeyRequest(tenant_id=tenant))

    answer = run(target, api_key, work)
    say(f"{answer.key.public_key}  (Ed25519, key {answer.key.key_id})")


def _verify_file(file: Path, public_key: str, kept: tuple[int, bytes] | None) -> None:
    try:
        proof = prove(file, public_key, kept)
    except Unreadable as error:
        problems.print(str(error), style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(_UNREADABLE) from None
    _judge(list(map(finding_message, proof.findings)), sound=not proof.findings, what=positions(proof))
    if not proof.pinned:
        _warn(proof)


def _warn(proof: Proof) -> None:
    say(
        f"Trusted was the key that the file itself names, {proof.key}: whoever made the file chose it. "
        "Name the platform's with --public-key."
    )


def _judge(findings: Sequence[pb.AuditFinding], *, sound: bool, what: str) -> None:
    if sound:
        say(f"The log is sound: {what} are as they were sealed, and none is missing.")
        return
    table = Table("place", "entry", "fault", "what is wrong")
    for finding in findings:
        table.add_row(
            str(finding.position or ""),
            finding.audit_id,
            enum_text(pb.AuditFault, finding.fault),
            finding.explanation,
        )
    print_table(table)
    say(f"The log is NOT sound: of {what}, {len(findings)} faults were found.")
    raise typer.Exit(1)


async def _entries(client: Client, request: rpc.ListAuditEntriesRequest, limit: int) -> list[pb.AuditEntry]:
    found: list[pb.AuditEntry] = []
    while len(found) < limit:
        request.page_size = min(_PAGE, limit - len(found))
        answer = await client.stub(AuditServiceStub).ListAuditEntries(request)
        found += answer.entries
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    return found


async def _write(client: Client, request: rpc.ExportAuditEntriesRequest, out: TextIO) -> pb.AuditHead:
    """The last head."""
    head = pb.AuditHead()
    async for record in client.stub(AuditServiceStub).ExportAuditEntries(request):
        write_record(record, out)
        if record.HasField("head"):
            head = record.head
    return head


async def _verdict(client: Client, request: rpc.VerifyAuditLogRequest) -> list[rpc.VerifyAuditLogResponse]:
    return [answer async for answer in client.stub(AuditServiceStub).VerifyAuditLog(request)]


def _resources(changes: Iterable[pb.AuditChange]) -> str:
    ids = list(dict.fromkeys(change.resource_id for change in changes))
    return f"{ids[0]} and {len(ids) - 1} more" if len(ids) > 1 else "".join(ids)


def _say_changes(entry: pb.AuditEntry) -> None:
    for change in entry.changes:
        operation = enum_text(pb.AuditOperation, change.operation)
        say(f"{entry.id}  {operation} {change.resource_type} {change.resource_id}")
        if change.old_json:
            say(f"  - {change.old_json}")
        if change.new_json:
            say(f"  + {change.new_json}")
    if entry.changes_omitted:
        say(f"{entry.id}  and {entry.changes_omitted} more changes: see corebilling audit export")


def _kept(head: str) -> tuple[int, bytes] | None:
    if not head:
        return None
    count, _, hash_ = head.partition(":")
    try:
        kept = int(count), bytes.fromhex(hash_)
    except ValueError:
        raise failure(f"'{head}' is no head; write COUNT:HASH, as `audit verify` prints it.") from None
    return kept


def _time(at: datetime | None) -> Timestamp | None:
    return timestamp(at) if at else None
