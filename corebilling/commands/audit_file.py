"""Exports of the audit log as files: one record a line, in JSON; and their proof, without the platform."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from billing.audit.v1 import audit_service_pb2 as rpc
from google.protobuf import json_format

from corebilling.domains.audit.messages import entry_of, head_of, seal_of
from corebilling.domains.audit.model import Chain, Fault, Finding, Head
from corebilling.domains.audit.signing import KeyInvalid, TrustedKeys, public_key_of
from corebilling.errors import InvalidArgument


class Unreadable(Exception):
    """It is no export; the message says why."""


@dataclass(slots=True)
class Proof:
    """What is known of an export once it was read."""

    key: str = ""
    """The public key that was trusted."""
    pinned: bool = False
    """It was given, and not taken from the export itself."""
    records: int = 0
    entries: int = 0
    first: int = 0
    head: Head | None = None
    findings: list[Finding] = field(default_factory=list)


def write_record(record: rpc.ExportAuditEntriesResponse, out: TextIO) -> None:
    fields = json_format.MessageToDict(record, preserving_proto_field_name=True)
    out.write(json.dumps(fields, ensure_ascii=False, sort_keys=True) + "\n")


def prove(file: Path, public_key: str, kept: tuple[int, bytes] | None) -> Proof:
    """Works out every hash and checks every signature.

    Args:
        public_key: The one to trust; '' for the one in the file.
        kept: Count and hash of a head from elsewhere.

    Raises:
        Unreadable: The file, or the key, is none.
    """
    proof = Proof(public_key, pinned=bool(public_key))
    keys: TrustedKeys | None = _trusted(public_key) if public_key else None
    chain: Chain | None = None
    hashes: dict[int, bytes] = {}
    for record in _whole(file, _records(file)):
        proof.records += 1
        if record.HasField("key"):
            if keys is None:
                proof.key, keys = record.key.public_key, _trusted(record.key.public_key)
            continue
        if keys is None:
            raise Unreadable(f"{file} does not begin with a key; name one with --public-key.")
        try:
            if record.HasField("head"):
                head = head_of(record.head, record.head.tenant_id)
                proof.findings += keys.findings(head)
                if chain is None:
                    chain = Chain(head.tenant_id, head.count, head.hash)
                proof.findings += chain.compare(head)
                proof.head = head
            else:
                entry = entry_of(record.entry)
                chain = chain or Chain(entry.tenant_id)
                seal = seal_of(record.entry)
                proof.findings += chain.take(seal, entry)
                proof.first = proof.first or seal.position
                proof.entries += 1
            hashes[chain.position] = chain.hash
        except (ValueError, KeyError, InvalidArgument) as error:
            raise Unreadable(f"{file} has a record that no export has: {error}.") from None
    if keys is None or not proof.records:
        raise Unreadable(f"{file} is empty: make one with `corebilling audit export`.")
    if chain is not None:
        proof.findings += _ending(chain, proof.head)
    if kept is not None:
        proof.findings += _kept(hashes, kept)
    return proof


def _ending(chain: Chain, head: Head | None) -> Iterator[Finding]:
    signed = head.count if head else 0
    if chain.position > signed:
        yield Finding(Fault.MISSING, chain.position, "", f"No head vouches for what follows {signed}.")


def _kept(hashes: dict[int, bytes], kept: tuple[int, bytes]) -> Iterator[Finding]:
    count, hash_ = kept
    if count not in hashes:
        yield Finding(Fault.TRUNCATED, count, "", "The export does not reach the head that was kept.")
    elif hashes[count] != hash_:
        yield Finding(Fault.REWRITTEN, count, "", "The chain is another one than the head that was kept.")


def _trusted(public_key: str) -> TrustedKeys:
    try:
        return TrustedKeys([public_key_of(key) for key in public_key.split(",")])
    except (KeyInvalid, ValueError) as error:
        raise Unreadable(f"{error}.") from None


def _whole(
    file: Path, records: Iterable[rpc.ExportAuditEntriesResponse]
) -> Iterator[rpc.ExportAuditEntriesResponse]:
    """Entries with all their changes."""
    before: rpc.ExportAuditEntriesResponse | None = None
    for record in records:
        if record.HasField("change"):
            if before is None or not before.HasField("entry"):
                raise Unreadable(f"{file} has a change without its entry.")
            before.entry.changes.append(record.change)
            continue
        if before is not None:
            yield before
        before = record
    if before is not None:
        yield before


def _records(file: Path) -> Iterator[rpc.ExportAuditEntriesResponse]:
    try:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                yield _record(file, number, line)
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{file} is no text in UTF-8.") from None


def _record(file: Path, number: int, line: str) -> rpc.ExportAuditEntriesResponse:
    try:
        record = json_format.Parse(line, rpc.ExportAuditEntriesResponse())
    except (json_format.ParseError, RecursionError, UnicodeError) as error:
        raise Unreadable(f"{file}, line {number} is no record of an audit log: {error}.") from None
    if record.WhichOneof("record") is None:
        raise Unreadable(f"{file}, line {number} is empty.")
    return record


def positions(proof: Proof) -> str:
    """As in entries 1 to 40."""
    return f"entries {proof.first} to {proof.first + proof.entries - 1}" if proof.entries else "no entries"
