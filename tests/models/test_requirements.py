"""What requests are told that break the rules of their fields."""

from typing import Any

import pytest
from billing.access.v1.access_service_pb2 import CreateApiKeyRequest
from billing.catalog.v1.catalog_service_pb2 import CreateMeterRequest
from billing.tenant.v1.tenant_service_pb2 import CreateTenantRequest
from google.protobuf.message import Message

from corebilling.errors import InvalidArgument
from corebilling.rpc.validation import check

ROLES = "must be one of ROLE_OWNER, ROLE_BILLING_ADMIN, ROLE_OPERATOR, ROLE_VIEWER"
MODES = "must be one of TENANT_MODE_LIVE, TENANT_MODE_SANDBOX"


def told(request: Message) -> dict[str, str]:
    with pytest.raises(InvalidArgument) as refused:
        check(request)
    return dict(refused.value.violations)


@pytest.mark.parametrize(
    ("request_", "field", "requirement"),
    [
        (CreateApiKeyRequest(), "role", ROLES),
        (CreateApiKeyRequest(role=99), "role", ROLES),  # type: ignore[arg-type]
        (CreateTenantRequest(), "mode", MODES),
        (CreateTenantRequest(mode=99), "mode", MODES),  # type: ignore[arg-type]
    ],
)
def test_of_enums_the_names_are_told_that_may_be_sent(request_: Any, field: str, requirement: str) -> None:
    assert told(request_)[field] == requirement


def test_also_of_one_within_another_message() -> None:
    request = CreateMeterRequest()
    request.transform.rounding = 99  # type: ignore[assignment]
    requirement = told(request)["transform.rounding"]
    assert requirement.startswith("must be one of ")
    assert "UP" in requirement
