"""URLs by which a tenant would reach what stands behind the platform; the same ones for the same seed."""

import random
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "169.254.169.254/32",
        "168.63.129.16/32",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "255.255.255.255/32",
    )
)
V6 = tuple(
    IPv6Network(network)
    for network in (
        "::/128",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "2001:db8::/32",
        "3fff::/20",
        "2001::/32",  # Teredo
        "2001:10::/28",
        "100::/64",
        "5f00::/16",
    )
)
# Each leads to an IPv4 address: mapped, compatible, translated, NAT64 (well-known and local), 6to4, ISATAP.
EMBEDDING = (
    "::ffff:{0}",
    "::{0}",
    "::ffff:0:{0}",
    "64:ff9b::{0}",
    "64:ff9b:1::{0}",
    "2002:{1}::1",
    "fe80::5efe:{0}",
)
FULL_WIDTH = str.maketrans("0123456789.", "０１２３４５６７８９．")
CIRCLED = str.maketrans("123456789", "①②③④⑤⑥⑦⑧⑨")
PATHS = ("/", "", "/latest/meta-data/iam/", "/hook?a=b", "/a/b/../..")
Choice = random.Random


def hostile_v4(choice: Choice) -> IPv4Address:
    network = choice.choice(V4)
    return network[choice.randrange(network.num_addresses)]


def hostile_v6(choice: Choice) -> str:
    if choice.random() < 0.5:
        network = choice.choice(V6)
        return str(network[choice.randrange(network.num_addresses)])
    address = hostile_v4(choice)
    return choice.choice(EMBEDDING).format(address, f"{int(address) >> 16:x}:{int(address) & 0xFFFF:x}")


def hostile_address(choice: Choice) -> str:
    """What a name server answers with."""
    return str(hostile_v4(choice)) if choice.random() < 0.5 else str(IPv6Address(hostile_v6(choice)))


def _v4_host(choice: Choice) -> str:
    """As lenient parsers read it."""
    address = hostile_v4(choice)
    number, parts = int(address), str(address).split(".")
    return choice.choice(
        (
            str(address),
            str(number),
            hex(number),
            f"0{number:o}",
            ".".join(hex(int(part)) for part in parts),
            ".".join(f"0{int(part):o}" for part in parts),
            ".".join(f"{int(part):03d}" for part in parts),
            f"{parts[0]}.{number & 0xFFFFFF}",
            f"{parts[0]}.{parts[1]}.{number & 0xFFFF}",
            f"{parts[0]}.{parts[1]}.{hex(number & 0xFFFF)}",
            f"{address}.",
            f"{number}.",
            f"{hex(number).upper()}",
            str(number + (1 << 32)),
            str(address).translate(FULL_WIDTH),
            str(address).translate(CIRCLED),
            str(address).replace(".", "。"),
            "".join(f"%{ord(letter):02x}" for letter in str(address)),
            f"{address}%00.example.com",
            f" {address}",
            f"{address}\t",
        )
    )


def _v6_host(choice: Choice) -> str:
    text = hostile_v6(choice)
    address = IPv6Address(text)
    return choice.choice(
        (
            f"[{text}]",
            f"[{address.exploded}]",
            f"[{text}]".upper(),
            f"[{text}%25eth0]",
            f"[{text}%eth0]",
            text,
            f"[{text}].",
            f"[{text}",
        )
    )


def _disguised(choice: Choice) -> str:
    host = _v4_host(choice) if choice.random() < 0.6 else _v6_host(choice)
    return choice.choice(
        (
            f"example.com@{host}",
            f"user:password@{host}",
            f"example.com:443@{host}",
            f"example.com\\@{host}",
            f"example.com%40{host}",
            f"{host}#@example.com",
            f"{host}\\.example.com",
            f"{host}:443#example.com:443",
            f"@{host}",
            f":@{host}",
            f"{host}:22",
            f"{host}:0443",
            f"{host}:443\r\nHost: example.com",
        )
    )


def _named(choice: Choice) -> str:
    """The name is innocent: what it stands for is not. See `hostile_address`."""
    name = f"h{choice.randrange(1 << 40):x}.example.com"
    return choice.choice(
        (
            name,
            name + ".",
            name.upper(),
            f"{hostile_v4(choice)}.nip.example.com",
            "localhost",
            "localhost.",
            "localhost.localdomain",
            "metadata.google.internal",
            "xn--n3h.example.com",
            "a_b." + name,
        )
    )


def hostile_urls(count: int, seed: int) -> Iterator[str]:
    choice = Choice(seed)
    hosts: tuple[Callable[[Choice], str], ...] = (_v4_host, _v6_host, _disguised, _named, _named)
    schemes = ("https",) * 12 + ("HTTPS", "http", "ftp", "gopher", "file", "ws")
    for _ in range(count):
        host, scheme = choice.choice(hosts)(choice), choice.choice(schemes)
        port = choice.choice(("", "", "", ":443", ":8443", ":80", ":6379", ":0"))
        yield f"{scheme}://{host}{port}{choice.choice(PATHS)}"
