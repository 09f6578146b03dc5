"""Write docs/event-catalog.md from the contracts, or check that it is up to date.

    python tools/event_catalogue.py            write it
    python tools/event_catalogue.py --check    exit 1 when it is out of date

Comments come from the .proto files; subjects, fields and types from their compiled form.
"""

import argparse
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

PAGE = Path("docs/event-catalog.md")

HEADER = """# Event catalogue

Generated from the contracts in `proto/` by `make gen`; do not edit.

Every event is a `billing.event.v1.Event`: an immutable envelope with `id`, `subject`, `tenant_id`,
`resource_id`, `created_at`, `metadata` (correlation, causation, actor, trace, ordering key, version) and the
payload below. Webhooks and `corebilling call` show the payload as a plain JSON object with these field names.
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


def comments(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """The comment above each element, by its path."""
    return {
        tuple(place.path): " ".join(place.leading_comments.split())
        for place in file.source_code_info.location
        if place.leading_comments
    }


def page() -> str:
    sections = [section for file in files().file for section in file_sections(file)]
    subjects = [section.partition("\n")[0].removeprefix("## ") for section in sorted(sections)]
    contents = "\n".join(f"- [{name}](#{name.strip('`').replace('.', '')})" for name in subjects)
    return "\n".join([HEADER, contents, "", *sorted(sections)]).rstrip() + "\n"


def file_sections(file: FileDescriptorProto) -> Iterator[str]:
    if not (file.package.startswith("billing.") and file.name.endswith(_EVENTS)):
        return
    said = comments(file)
    for index, message in enumerate(file.message_type):
        extensions: Any = message.options.Extensions
        if subject := str(extensions[options_pb2.event].subject):
            yield section(file, message, subject, said, (4, index))


def section(
    file: FileDescriptorProto,
    message: DescriptorProto,
    subject: str,
    said: dict[tuple[int, ...], str],
    path: tuple[int, ...],
) -> str:
    lines = [f"## `{subject}`", "", f"`{file.package}.{message.name}`. {said.get(path, '')}".rstrip(), ""]
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
        "--check", action="store_true", help="write nothing; fail when the page is out of date"
    )
    wanted = page()
    if not parser.parse_args().check:
        PAGE.write_text(wanted)
    elif not PAGE.exists() or PAGE.read_text() != wanted:
        sys.exit(f"{PAGE} is out of date, run `make gen`")


if __name__ == "__main__":
    main()
