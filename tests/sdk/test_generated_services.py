"""Every RPC of the contracts is a method of the client, with the policy that it declares."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import billing
import pytest
from billing_sdk import Billing
from google.protobuf.descriptor import ServiceDescriptor

from corebilling.rpc.method import Method, methods_of
from corebilling.sdk import method as sdk


def services() -> Iterator[ServiceDescriptor]:
    for module in pkgutil.walk_packages(billing.__path__, "billing."):
        if module.name.endswith("_service_pb2"):
            yield from importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()


METHODS = [method for service in services() for method in methods_of(service)]


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def module_of(method: Method) -> Any:
    return importlib.import_module(f"billing_sdk.{method.service.split('.')[1]}")


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_method_is_there_with_its_policy(method: Method) -> None:
    known = vars(module_of(method)).values()
    [found] = [
        value for value in known if isinstance(value, sdk.Method) and value.path == f"/{method.full_name}"
    ]
    assert found.idempotency.name == method.idempotency.name
    assert found.tenant_scoped == method.tenant_scoped
    assert found.request_class.__name__ == method.request_class.__name__
    assert found.response_class.__name__ == method.response_class.__name__
    assert found.resumes == ("resume_token" in method.response_class.DESCRIPTOR.fields_by_name)

    service = method.service.rpartition(".")[2]
    attribute = getattr(Billing, snake(service.removesuffix("Service")))
    assert attribute.fget(None).__class__.__name__ == service
    assert callable(getattr(attribute.fget(None), snake(method.name)))


def test_names_of_the_package_are_there() -> None:
    package = importlib.import_module("billing_sdk")
    assert all(getattr(package, name).__name__ == name for name in package.__all__)
