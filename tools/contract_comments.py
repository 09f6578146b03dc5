"""The comments of the .proto files, by the full names of what they stand above."""

import subprocess
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from payload_schema import comments

# Which fields of descriptors hold named parts, by their numbers in descriptor.proto.
_PARTS = {
    "FileDescriptorProto": {4: "message_type", 5: "enum_type", 6: "service"},
    "DescriptorProto": {2: "field", 3: "nested_type", 4: "enum_type", 8: "oneof_decl"},
    "EnumDescriptorProto": {2: "value"},
    "ServiceDescriptorProto": {2: "method"},
}


def comments_by_name() -> dict[str, str]:
    """Needs buf; generated code has no comments."""
    command = ["buf", "build", "proto", "--as-file-descriptor-set", "--output", "-"]
    built = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    found: dict[str, str] = {}
    for file in FileDescriptorSet.FromString(built).file:
        if file.package.startswith("billing."):
            found.update(_of(file))
    return found


def _of(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    said = comments(file)
    for path, name in _names(file, file.package, ()):
        if path in said:
            yield name, said[path]


def _names(holder: Any, scope: str, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str]]:
    """Every named part below, with its path."""
    kind = holder.DESCRIPTOR.name
    for number, parts in _PARTS.get(kind, {}).items():
        for index, part in enumerate(getattr(holder, parts)):
            place = (*path, number, index)
            name = f"{scope}.{part.name}"
            yield place, name
            yield from _names(part, name, place)
