"""Write docs/event-catalog.md and the JSON Schemas in docs/events/ from the contracts, or check them.

    python tools/event_catalogue.py            write them
    python tools/event_catalogue.py --check    exit 1 when one is out of date

Comments come from the .proto files; subjects, fields and types from their compiled form.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from billing.options.v1 import options_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from payload_schema import Contracts, comments

PAGE = Path("docs/event-catalog.md")
SCHEMAS = Path("docs/events")
ENVELOPE = "envelope"

HEADER = """# Event catalogue

Generated from the contracts in `proto/` by `make gen`; do not edit.

Every event is a `billing.event.v1.Event`: an immutable envelope with `id`, `subject`, `tenant_id`,
`resource_id`, `created_at`, `metadata` (correlation, causation, actor, trace, ordering key, version) and the
payload below. Webhooks and `corebilling events` show the payload as a plain JSON object with these field
names; each has a JSON Schema, and so has [the envelope](events/envelope.schema.json) that it comes in.
Amounts in `_minor` are minor units of `currency`; other amounts and quantities are decimal strings. Payloads
carry ids, never names, addresses or tax ids.

Tenants publish events of their own with `EventService.PublishEvent`: any subject whose first part is not one
of the platform's, with a JSON object as payload.
"""

_PREFIX = ".billing."
_EVENTS = "_events.proto"


def files() -> FileDescriptorSet:
    """The contracts, compiled with their comments."""
    command = ["buf", "build", "proto", "--as-file-descriptor-set", "--output", "-"]
    return FileDescriptorSet.FromString(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def documents() -> dict[Path, str]:
    """Everything that is generated here, by its path."""
    compiled = files()
    contracts = Contracts(compiled)
    schemas = {
        subject: contracts.payload_schema(f"{file.package}.{message.name}", subject)
        for file in compiled.file
        for _, message, subject in payloads(file)
    }
    schemas[ENVELOPE] = contracts.envelope_schema()
    written = {
        SCHEMAS / f"{name}.schema.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }
    return {PAGE: page(compiled), **written}


def page(compiled: FileDescriptorSet) -> str:
    sections = [section for file in compiled.file for section in file_sections(file)]
    subjects = [section.partition("\n")[0].removeprefix("## ") for section in sorted(sections)]
    contents = "\n".join(f"- [{name}](#{name.strip('`').replace('.', '')})" for name in subjects)
    return "\n".join([HEADER, contents, "", *sorted(sections)]).rstrip() + "\n"


def payloads(file: FileDescriptorProto) -> Iterator[tuple[int, DescriptorProto, str]]:
    """The file's payload messages with their index and subject."""
    if file.package.startswith("billing.") and file.name.endswith(_EVENTS):
        for index, message in enumerate(file.message_type):
            extensions: Any = message.options.Extensions
            if subject := str(extensions[options_pb2.event].subject):
                yield index, message, subject


def file_sections(file: FileDescriptorProto) -> Iterator[str]:
    said = comments(file)
    for index, message, subject in payloads(file):
        yield section(file, message, subject, said, (4, index))


def section(
    file: FileDescriptorProto,
    message: DescriptorProto,
    subject: str,
    said: dict[tuple[int, ...], str],
    path: tuple[int, ...],
) -> str:
    lines = [f"## `{subject}`", "", f"`{file.package}.{message.name}`. {said.get(path, '')}".rstrip(), ""]
    lines += [f"[JSON Schema](events/{subject}.schema.json)", ""]
    lines += ["| field | type | |", "|---|---|---|"]
    for index, field in enumerate(message.field):
        lines.append(f"| `{field.name}` | {type_of(field)} | {said.get((*path, 2, index), '')} |")
    return "\n".join([*lines, ""])


def type_of(field: FieldDescriptorProto) -> str:
    name = field.type_name.removeprefix(_PREFIX).removeprefix(".")
    if not name:
        name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    return f"repeated {name}" if field.label == FieldDescriptorProto.LABEL_REPEATED else name


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the event catalogue from the contracts.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when a document is out of date"
    )
    wanted = documents()
    stale = set(SCHEMAS.glob("*.schema.json")) - wanted.keys()
    changed = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if parser.parse_args().check:
        if changed or stale:
            names = ", ".join(str(path) for path in sorted([*changed, *stale]))
            sys.exit(f"out of date, run `make gen`: {names}")
        return
    SCHEMAS.mkdir(exist_ok=True)
    for path in changed:
        path.write_text(wanted[path], encoding="utf-8")
    for path in stale:
        path.unlink()


if __name__ == "__main__":
    main()
