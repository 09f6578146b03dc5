"""Where deliveries may go: public addresses alone, so that no tenant reaches what stands behind the platform.

Lists of our own: `ipaddress.is_global` lets multicast, NAT64, 6to4 and mapped addresses through.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from corebilling.errors import InvalidArgument

PORTS = frozenset({443, 8443})

_DENIED_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's platform services, on a public address
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Everything else (loopback, mapped, NAT64, unique local, link-local, multicast, …) lies outside.
_GLOBAL_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# What development may reach beside public addresses. Never link-local: there lies the cloud's metadata.
_PRIVATE = tuple(
    IPv4Network(network) for network in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
_PRIVATE_V6 = (IPv6Network("::1/128"), IPv6Network("fc00::/7"))

_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<host>[a-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?][!-\"$-\[\]-~]*)?",
    re.IGNORECASE,
)
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE)
_NAME = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.?",
    re.IGNORECASE,
)
_MAX_NAME = 253
# Names that stand for something inside: reserved for that, or without a domain.
_INSIDE = re.compile(
    r"(?:[^.]+|(?:.*\.)?(?:localhost|localdomain|local|internal|home\.arpa))\.?", re.IGNORECASE
)


def is_allowed(address: str, *, allow_private: bool) -> bool:
    """Whether a connection to this address may be made; not if it is no address at all."""
    try:
        # With a zone (`fe80::1%eth0`) it is a matter of one link: never public.
        ip = ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, IPv4Address):
        return not _in_any_v4(ip, _DENIED_V4) or (allow_private and _in_any_v4(ip, _PRIVATE))
    return _is_public_v6(ip) or (allow_private and any(ip in network for network in _PRIVATE_V6))


def check_url(url: str, *, allow_private: bool) -> None:
    """Refuses what could never be delivered to. What a name stands for is vetted on connecting.

    Raises:
        InvalidArgument: WEBHOOK_URL_INVALID.
    """
    detail = _fault(url, allow_private)
    if detail:
        raise _refusal(url, detail)


def check_new_url(url: str, *, allow_private: bool) -> None:
    """As `check_url`; and refuses names that no network but one's own answers, so that whoever makes the
    endpoint is told at once.

    Raises:
        InvalidArgument: WEBHOOK_URL_INVALID.
    """
    check_url(url, allow_private=allow_private)
    parts = _URL.fullmatch(url)
    if parts and parts["host"] and not allow_private and _INSIDE.fullmatch(parts["host"]):
        raise _refusal(url, "the host name is not public")


def _refusal(url: str, detail: str) -> InvalidArgument:
    return InvalidArgument(
        "WEBHOOK_URL_INVALID", f"The URL is refused: {detail}.", {"url": url, "detail": detail}
    )


@lru_cache(maxsize=1000)
def _fault(url: str, allow_private: bool) -> str:
    # Our own strict form, so that no other parser can take the URL for something else.
    parts = _URL.fullmatch(url)
    if parts is None:
        return "write it as https://host/path, in ASCII, without user, password or fragment"
    if parts["scheme"].lower() != "https" and not allow_private:
        return "use https"
    port = int(parts["port"] or 443)
    if not (port in PORTS or (allow_private and 0 < port < 65536)):
        return f"port {port} is not allowed; use 443 or 8443"
    return _host_fault(parts["v6"], parts["host"], allow_private)


def _host_fault(v6: str | None, host: str | None, allow_private: bool) -> str:
    literal = v6 or (host if host and _ENDS_IN_NUMBER.fullmatch(host) else None)
    if literal:
        return "" if is_allowed(literal, allow_private=allow_private) else "the address is not public"
    if host is None or len(host) > _MAX_NAME or not _NAME.fullmatch(host):
        return "the host name is malformed"
    return ""


def _in_any_v4(ip: IPv4Address, networks: tuple[IPv4Network, ...]) -> bool:
    return any(ip in network for network in networks)


def _is_public_v6(ip: IPv6Address) -> bool:
    return (
        ip in _GLOBAL_V6
        and getattr(ip, "scope_id", None) is None
        and not any(ip in network for network in _DENIED_V6)
    )
