"""`corebilling auth` as one runs it, against the platform."""

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
    assert out.splitlines()[-1] == "nobody: refused"
    code, _, err = await command("auth", "explain", "nothing", **access(platform))
    assert code == 1
    assert "METHOD_NOT_FOUND" in err
