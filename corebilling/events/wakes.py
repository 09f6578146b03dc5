"""Which shards to look at before the next poll."""

import asyncio
from collections import Counter
from collections.abc import Iterable

_LOOK_AGAIN_S = 0.002
_MAX_VAIN_LOOKS = 10


class Wakes:
    """Events that were just committed in this process, by shard, until they have been handed over.

    An event shows only once every older transaction has ended, which is any moment now: its shard is looked
    at again and again, for a while. After that the poll finds it.
    """

    def __init__(self) -> None:
        self._bell = asyncio.Event()
        self._shards: set[int] = set()
        self._awaited: Counter[int] = Counter()
        self._vain_looks: Counter[int] = Counter()

    def expect(self, shards: Iterable[int]) -> None:
        """New events, one entry for each."""
        shards = tuple(shards)
        self._awaited.update(shards)
        self.look_at(shards)

    def look_at(self, shards: Iterable[int]) -> None:
        """Look there at once."""
        self._shards.update(shards)
        self._bell.set()

    async def wait(self, until: float) -> bool:
        """False when nothing woke before `until`, in the loop's time."""
        try:
            async with asyncio.timeout_at(until):
                await self._bell.wait()
        except TimeoutError:
            return False
        return True

    def take(self) -> set[int]:
        """The shards to look at; they are not mentioned again unless something new happens."""
        taken, self._shards = self._shards, set()
        self._bell.clear()
        return taken

    def seen(self, shard: int, events: int) -> None:
        """So many events of the shard were handed over."""
        self._awaited[shard] -= events
        self._vain_looks.pop(shard, None)
        if self._awaited[shard] <= 0:
            del self._awaited[shard]

    def look_again(self, shards: Iterable[int]) -> None:
        """Those of the shards that still have events to come get another look in a moment."""
        missing = {shard for shard in shards if shard in self._awaited}
        self._vain_looks.update(missing)
        for shard in [shard for shard in missing if self._vain_looks[shard] > _MAX_VAIN_LOOKS]:
            missing.remove(shard)
            del self._awaited[shard], self._vain_looks[shard]
        if missing:
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self.look_at, missing)
