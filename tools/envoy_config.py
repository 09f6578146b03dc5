"""Write what Envoy needs to answer JSON over HTTP before the platform: a configuration, and the descriptors.

    python tools/envoy_config.py            write deploy/envoy/envoy.yaml and build/envoy/corebilling.binpb
    python tools/envoy_config.py --check    exit 1 when the configuration is out of date

The descriptors hold third-party contracts too, so they are built and never committed.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from billing.options.v1 import options_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto
from google.rpc import error_details_pb2, status_pb2
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from service_modules import services

CONFIGURATION = Path("deploy/envoy/envoy.yaml")
DESCRIPTORS = Path("build/envoy/corebilling.binpb")

_RULE: Any = annotations_pb2.http
_POLICY: Any = options_pb2.http


@dataclass(frozen=True)
class Places:
    """Where Envoy listens, where it finds the descriptors, and where the platform is."""

    listen_host: str = "0.0.0.0"  # noqa: S104 (the container's network decides who reaches it)
    listen_port: int = 8000
    descriptors: str = "/etc/envoy/corebilling.binpb"
    host: str = "corebilling"
    grpc_port: int = 50051
    http_port: int = 8080


def configuration(places: Places) -> str:
    environment = Environment(  # noqa: S701 (YAML of our own values)
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = sorted(str(service.full_name) for service in services())
    return environment.get_template("envoy_template.yaml").render(services=names, **asdict(places))


def descriptors() -> bytes:
    """Of all services, and of what refusals hold."""
    files: dict[str, FileDescriptorProto] = {}
    roots = {service.file for service in services()}
    roots |= {status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR}
    for file in _with_imports(sorted(roots, key=lambda root: str(root.name))):
        files[file.name] = FileDescriptorProto.FromString(file.serialized_pb)
    for proto in files.values():
        for service in proto.service:
            for method in service.method:
                if _needs_the_platform(method):
                    method.options.ClearExtension(_RULE)
    return FileDescriptorSet(file=files.values()).SerializeToString(deterministic=True)


def _with_imports(files: Iterable[FileDescriptor]) -> Iterator[FileDescriptor]:
    """Each after what it imports; some come more than once."""
    for file in files:
        yield from _with_imports(file.dependencies)
        yield file


def _needs_the_platform(method: MethodDescriptorProto) -> bool:
    """Envoy would answer with a file in base64, and with streams of another form."""
    extensions: Any = method.options.Extensions
    return bool(extensions[_POLICY].files) or method.client_streaming or method.server_streaming


def main() -> None:
    parser = argparse.ArgumentParser(description="Write Envoy's configuration and descriptors.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when it is out of date")
    wanted = configuration(Places())
    if parser.parse_args().check:
        if not CONFIGURATION.exists() or CONFIGURATION.read_text(encoding="utf-8") != wanted:
            sys.exit(f"out of date, run `make gen`: {CONFIGURATION}")
        return
    CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
    CONFIGURATION.write_text(wanted, encoding="utf-8")
    DESCRIPTORS.parent.mkdir(parents=True, exist_ok=True)
    DESCRIPTORS.write_bytes(descriptors())


if __name__ == "__main__":
    main()
