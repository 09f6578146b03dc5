"""Write what Envoy needs to answer JSON over HTTP before the platform: a configuration, and the descriptors.

    python tools/envoy_config.py            write deploy/envoy/envoy.yaml, and into build/envoy descriptors
                                            and a configuration for a platform on this machine
    python tools/envoy_config.py --check    exit 1 when the configuration is out of date

The descriptors hold third-party contracts too, so they are built and never committed.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from billing.options.v1 import options_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import code_pb2, error_details_pb2, status_pb2
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from service_modules import services

from corebilling.http.rules import rules_of
from corebilling.rpc.answer import MAX_MESSAGE_BYTES
from corebilling.rpc.server import CORRELATION_ID

CONFIGURATION = Path("deploy/envoy/envoy.yaml")
DESCRIPTORS = Path("build/envoy/corebilling.binpb")
LOCAL_CONFIGURATION = Path("build/envoy/envoy.yaml")

_POLICY: Any = options_pb2.http
_VARIABLE = re.compile(r"\{[^}]*\}")
# What Envoy refuses by itself: status, code, reason, message.
_REFUSALS = (
    (400, code_pb2.INVALID_ARGUMENT, "REQUEST_INVALID", "%LOCAL_REPLY_BODY%"),
    (413, code_pb2.RESOURCE_EXHAUSTED, "BODY_TOO_LARGE", "The body is too large."),
)


@dataclass(frozen=True)
class Places:
    """Where Envoy listens, where it finds the descriptors, and where the platform is."""

    listen_host: str = "0.0.0.0"  # noqa: S104 (the container's network decides who reaches it)
    listen_port: int = 8000
    descriptors: str = "/etc/envoy/corebilling.binpb"
    host: str = "corebilling"
    grpc_port: int = 50051
    http_port: int = 8080


ON_THIS_MACHINE = Places(listen_host="127.0.0.1", descriptors=str(DESCRIPTORS), host="127.0.0.1")


def configuration(places: Places) -> str:
    environment = Environment(  # noqa: S701 (YAML of our own values)
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = sorted(str(service.full_name) for service in services())
    return environment.get_template("envoy_template.yaml").render(
        services=names,
        left_alone=sorted(_paths_left_alone()),
        refusals=_REFUSALS,
        correlation_id=CORRELATION_ID.pattern,
        max_body_bytes=MAX_MESSAGE_BYTES,
        **asdict(places),
    )


def descriptors() -> bytes:
    """Of all services, and of what refusals hold."""
    files: dict[str, FileDescriptorProto] = {}
    roots = {service.file for service in services()}
    roots |= {status_pb2.DESCRIPTOR, error_details_pb2.DESCRIPTOR}
    for file in _with_imports(sorted(roots, key=lambda root: str(root.name))):
        files[file.name] = FileDescriptorProto.FromString(file.serialized_pb)
    return FileDescriptorSet(file=files.values()).SerializeToString(deterministic=True)


def _with_imports(files: Iterable[FileDescriptor]) -> Iterator[FileDescriptor]:
    """Each after what it imports; some come more than once."""
    for file in files:
        yield from _with_imports(file.dependencies)
        yield file


def _paths_left_alone() -> Iterator[str]:
    """As regular expressions. Envoy would answer with a file in base64, and with streams of another form."""
    for service in services():
        for method in service.methods:
            files = method.GetOptions().Extensions[_POLICY].files
            if files or method.client_streaming or method.server_streaming:
                for rule in rules_of(f"{service.full_name}/{method.name}"):
                    yield _VARIABLE.sub("[^/]+", rule.template)


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
    LOCAL_CONFIGURATION.write_text(configuration(ON_THIS_MACHINE), encoding="utf-8")


if __name__ == "__main__":
    main()
