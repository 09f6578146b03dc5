"""What goes wrong in a campaign: one fault after the other, chosen by a seed."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Mapping

from tests.faults.campaign.fleet import LEASE_S, Fleet
from tests.faults.campaign.worker import FAILPOINTS

EVERYTHING = {"kill": 10, "failpoint": 8, "stop": 2, "terminate": 2, "connections": 2, "broker": 1}
"""Kinds of faults by how often they come, in relation to each other."""
WIPES = {"wipe": 1}

_FAILPOINTS_OF = {
    "api": ("write",),
    "dispatcher-1": ("publish", "cursor"),
    "dispatcher-2": ("publish", "cursor"),
    "router-1": ("handle", "effects", "write"),
    "router-2": ("handle", "effects", "write"),
    "events": ("publish", "cursor", "handle", "effects", "write"),
    "jobs": ("write", "seal"),
}
assert set().union(*_FAILPOINTS_OF.values()) == set(FAILPOINTS)
_FAILPOINT_WAIT_S = 3.0


class Fire:
    """Deals faults to a fleet. `dealt` counts them by kind."""

    def __init__(self, fleet: Fleet, seed: int, mix: Mapping[str, int]) -> None:
        self._fleet = fleet
        self._chance = random.Random(seed)
        self._mix = mix
        self.dealt: Counter[str] = Counter()

    async def strike(self) -> None:
        """One fault: a process is killed, stopped past its lease or ended cleanly, the database drops
        connections, the broker dies or loses all it kept. What was ended is started again at once."""
        (chosen,) = self._chance.choices(list(self._mix), list(self._mix.values()))
        await getattr(self, f"_{chosen}")(self._chance.choice(list(self._fleet.roles)))
        self.dealt[chosen] += 1
        await asyncio.sleep(self._chance.uniform(0, 0.5))

    async def _kill(self, name: str) -> None:
        await self._fleet.kill(name)
        await self._fleet.start(name)

    async def _failpoint(self, name: str) -> None:
        """The process dies exactly there; if it does not come by in time it is killed where it stands."""
        place = self._chance.choice(_FAILPOINTS_OF[name])
        moment = self._chance.choice(("before", "after"))
        await self._fleet.kill(name)
        await self._fleet.start(name, f"{place}.{moment}:{self._chance.randint(1, 20)}")
        try:
            async with asyncio.timeout(_FAILPOINT_WAIT_S):
                await self._fleet.processes[name].wait()
        except TimeoutError:
            await self._fleet.kill(name)
        await self._fleet.start(name)

    async def _stop(self, name: str) -> None:
        """It misses its leases, and wakes up believing that it holds them."""
        self._signal(name, signal.SIGSTOP)
        await asyncio.sleep(LEASE_S * 2)
        self._signal(name, signal.SIGCONT)

    async def _terminate(self, name: str) -> None:
        self._signal(name, signal.SIGTERM)
        await self._fleet.processes[name].wait()
        await self._fleet.start(name)

    async def _connections(self, _: str) -> None:
        await self._fleet.kill_backends(self._chance)

    async def _broker(self, _: str) -> None:
        broker = self._fleet.broker
        await asyncio.to_thread(self._chance.choice((broker.kill, broker.stop)))
        await asyncio.to_thread(broker.start)

    async def _wipe(self, _: str) -> None:
        await asyncio.to_thread(self._fleet.broker.wipe)

    def _signal(self, name: str, number: signal.Signals) -> None:
        process = self._fleet.processes[name]
        if process.returncode is None:
            process.send_signal(number)
