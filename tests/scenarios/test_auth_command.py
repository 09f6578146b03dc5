"""`corebilling auth` as one runs it, against the platform."""

import re
from pathlib import Path

from billing.access.v1 import access_service_pb2 as rpc
from billing.access.v1 import api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub

from corebilling.values.ids import new_id
from tests.scenarios.test_event_commands import access, command
from tests.support.platform import Platform, platform

__all__ = ["platform"]


async def test_the_command_shows_what_is_asked_and_answered(platform: Platform):
    void = "billing.invoice.v1.InvoiceService/VoidInvoice"
    code, out, _ = await command("auth", "explain", void, **access(platform))
    assert code == 0
    assert "the role owner has invoice.write" in out
    assert out.splitlines()[-1].endswith("(owner): allowed")
    code, out, _ = await command("auth", "explain", void, "--token", "a.b.c", **access(platform))
    assert code == 1
    assert "This is no token." in out
    assert "lacks" not in out
    assert out.splitlines()[-1] == "nobody: refused"
    code, _, err = await command("auth", "explain", "nothing", **access(platform))
    assert code == 1
    assert "METHOD_NOT_FOUND" in err


def cells(printed: str) -> list[list[str]]:
    """What stands in a table and below it, whatever its width."""
    return [
        [cell.strip() for cell in re.split("[│┃]", line)] for line in printed.splitlines() if "━" not in line
    ]


async def test_the_sample_of_the_guide_is_what_the_command_says(platform: Platform):
    made = await platform.stub(AccessServiceStub).CreateApiKey(
        rpc.CreateApiKeyRequest(
            request_id=new_id("req"), name="k", role=api_key_pb2.ROLE_BILLING_ADMIN, scopes=["invoice.read"]
        )
    )
    guide = (Path(__file__).parents[2] / "docs" / "access.md").read_text()
    shown = re.search(r"\$ corebilling (auth explain .*)\n((?s:.*?))```", guide)
    assert shown is not None
    arguments, sample = shown.groups()
    key_id = made.api_key.id
    code, out, _ = await command(*arguments.replace("key_01jd…", key_id).split(), **access(platform))
    said = out.replace(key_id, "key_01jd…")
    assert code == 1
    assert [row for row in cells(said) if "─" not in row[0]] == [
        row for row in cells(sample) if "─" not in row[0]
    ]


async def test_a_platform_key_names_the_tenant_but_for_the_platforms_own_methods(platform: Platform):
    void = "billing.invoice.v1.InvoiceService/VoidInvoice"
    operator = {**access(platform), "COREBILLING_API_KEY": platform.operator_key}
    for arguments in ((void,), (void, "--key-id", "key_x"), (void, "--token", "a.b.c")):
        code, _, err = await command("auth", "explain", *arguments, **operator)
        assert (code, "give --tenant, or COREBILLING_TENANT" in err) == (1, True), err
    code, out, _ = await command("auth", "explain", void, "--tenant", platform.tenant_id, **operator)
    assert (code, "(platform_admin): allowed" in out) == (0, True)
    create = "billing.tenant.v1.TenantService/CreateTenant"
    code, out, err = await command("auth", "explain", create, **operator)
    assert (code, "(platform_admin): allowed" in out) == (0, True), err
