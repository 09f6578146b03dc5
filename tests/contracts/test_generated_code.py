"""What the generated packages promise: rules that bite, stubs that work, nothing that fails to import."""

import importlib
from pathlib import Path

import protovalidate
import pytest
from billing.usage.v1 import usage_service_pb2 as usagev1

GENERATED = Path(__file__).parents[2] / "gen"
MODULES = sorted(
    ".".join(path.relative_to(GENERATED).with_suffix("").parts).removesuffix(".__init__")
    for package in ("billing", "billing_db", "billing_sdk")
    for path in (GENERATED / package).rglob("*.py")
)


def test_invalid_message_is_refused_by_the_rules_in_its_proto() -> None:
    """Without the rules' descriptor every message would pass in silence."""
    request = usagev1.ReportUsageRequest(tenant_id="x" * 1_000)
    with pytest.raises(protovalidate.ValidationError, match="tenant_id: must be at most 64 characters"):
        protovalidate.validate(request)


@pytest.mark.parametrize("module", MODULES)
def test_generated_module_can_be_imported(module: str) -> None:
    importlib.import_module(module)
