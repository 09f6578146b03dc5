"""Encryption: over a network always, with the client's own certificate where the server wants one."""

from pathlib import Path

import pytest
from billing_sdk import Billing, NotFound, Retry, Tls, Unavailable

from corebilling.sdk.connection import is_local
from tests.support.certificate import self_signed
from tests.support.platform import Platform, second_process

ONCE = Retry(max_attempts=1)


async def answers(billing: Billing) -> bool:
    """Whether the server could be spoken to."""
    async with billing:
        try:
            await billing.customer.get_customer(customer_id="none")
        except NotFound:
            return True
        except Unavailable:
            return False
    raise AssertionError("there is no such customer")


async def test_a_server_with_a_certificate_is_spoken_to_over_tls(platform: Platform, tmp_path: Path):
    cert, key = self_signed(tmp_path)
    async with second_process(platform, grpc_tls_cert_file=cert, grpc_tls_key_file=key) as encrypted:
        target, secret = encrypted.app.grpc_address, platform.tenant_key
        assert await answers(Billing(target, secret, tls=Tls.from_files(root=cert)))
        assert not await answers(Billing(target, secret, tls=Tls(), retry=ONCE)), "nobody vouches for it"
        assert not await answers(Billing(target, secret, retry=ONCE)), "on loopback: in the clear"


async def test_a_server_can_want_a_certificate_of_its_clients(platform: Platform, tmp_path: Path):
    cert, key = self_signed(tmp_path)
    files = {"grpc_tls_cert_file": cert, "grpc_tls_key_file": key, "grpc_tls_client_ca_file": cert}
    async with second_process(platform, **files) as encrypted:
        target, secret = encrypted.app.grpc_address, platform.tenant_key
        own = Tls.from_files(root=cert, certificate=cert, key=key)
        assert await answers(Billing(target, secret, tls=own))
        assert not await answers(Billing(target, secret, tls=Tls.from_files(root=cert), retry=ONCE))


async def test_a_key_crosses_no_network_in_the_clear_unasked(platform: Platform):
    """The name leads to this machine too, but does not say so: TLS, which this server does not speak."""
    port = platform.app.grpc_address.rpartition(":")[2]
    target = f"dns:///127.0.0.1:{port}"
    assert not await answers(Billing(target, platform.tenant_key, retry=ONCE))
    assert await answers(Billing(target, platform.tenant_key, plaintext=True))


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("127.0.0.1:50051", True),
        ("127.8.0.1:50051", True),
        ("[::1]:50051", True),
        ("localhost:50051", True),
        ("unix:/run/corebilling.sock", True),
        ("billing.internal:50051", False),
        ("localhost.example.com:50051", False),
        ("10.0.0.7:50051", False),
        ("0.0.0.0:50051", False),
        ("billing", False),
    ],
)
def test_what_is_this_machine(target: str, local: bool):
    assert is_local(target) is local
