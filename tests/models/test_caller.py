"""What a call's peer and trace are called in the audit log."""

import pytest

from corebilling.values.caller import ip_address, trace_id


@pytest.mark.parametrize(
    ("peer", "ip"),
    [
        ("ipv4:192.0.2.7:50123", "192.0.2.7"),
        ("ipv6:[2001:db8::1]:50123", "2001:db8::1"),
        ("ipv6:%5B::1%5D:50123", "::1"),
        ("unix:/run/corebilling.sock", ""),
        ("", ""),
    ],
)
def test_ip_address_is_the_peers_without_port(peer: str, ip: str) -> None:
    assert ip_address(peer) == ip


def test_trace_id_is_the_second_part_of_the_traceparent() -> None:
    assert trace_id("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") == (
        "0af7651916cd43dd8448eb211c80319c"
    )
    assert trace_id("") == ""
