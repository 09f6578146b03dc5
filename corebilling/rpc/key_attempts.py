"""How many wrong API keys an address may try: each costs a look into the database."""

from ipaddress import IPv6Address, ip_address, ip_network

from corebilling.errors import ResourceExhausted
from corebilling.rpc.rate_limit import ProcessRates, Rate
from corebilling.values import caller
from corebilling.values.clock import Clock

_IPV6_PREFIX = 64


class KeyAttempts:
    """Counts what fails, and nothing else: whoever has the right key takes nothing from anybody."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate = rate
        self._rates = ProcessRates(clock)

    def check(self, peer: str) -> None:
        """Raises ResourceExhausted: KEY_ATTEMPTS_LIMITED when too many from there have failed."""
        wait_s = self._rates.wait_s(_address(peer), self._rate)
        if wait_s > 0:
            raise ResourceExhausted(
                "KEY_ATTEMPTS_LIMITED",
                "Too many wrong API keys came from your address; correct them, and wait as RetryInfo says.",
                {"limit": f"{self._rate.per_second:g}", "burst": str(self._rate.burst)},
                retry_after_s=wait_s,
            )

    async def count(self, peer: str) -> None:
        """One more has failed."""
        await self._rates.take(_address(peer), self._rate)


def _address(peer: str) -> str:
    """Of IPv6 the network: a subscriber has it whole, and could send each key from another address."""
    try:
        address = ip_address(caller.ip_address(peer))
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((int(address), _IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(address)
