"""The services that the contracts offer."""

import importlib
import pkgutil
from collections.abc import Iterator

import billing
from google.protobuf.descriptor import ServiceDescriptor


def services() -> Iterator[ServiceDescriptor]:
    """In the order of their files."""
    for module in pkgutil.walk_packages(billing.__path__, "billing."):
        if module.name.endswith("_service_pb2"):
            yield from importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()
