"""What to look at before the next poll: shards, or tenants."""

import asyncio
from collections import Counter
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

_LOOK_AGAIN_S = 0.002
_MAX_VAIN_LOOKS = 10


K = TypeVar("K", bound=Hashable)


class Wakes(Generic[K]):
    """Events that were just committed in this process, by place, until they have been seen.

    An event shows only once every older transaction has ended, which is any moment now: its place is looked
    at again and again, for a while. After that the poll finds it.
    """

    def __init__(self) -> None:
        self._bell = asyncio.Event()
        self._places: set[K] = set()
        self._awaited: Counter[K] = Counter()
        self._vain_looks: Counter[K] = Counter()

    def expect(self, places: Iterable[K]) -> None:
        """New events, one entry for each."""
        places = tuple(places)
        for place in places:
            self._awaited[place] += 1
        self.look_at(places)

    def look_at(self, places: Iterable[K]) -> None:
        """Look there at once."""
        self._places.update(places)
        self._bell.set()

    async def wait(self, until: float) -> bool:
        """False when nothing woke before `until`, in the loop's time."""
        try:
            async with asyncio.timeout_at(until):
                await self._bell.wait()
        except TimeoutError:
            return False
        return True

    def take(self) -> set[K]:
        """The places to look at; they are not mentioned again unless something new happens."""
        taken, self._places = self._places, set()
        self._bell.clear()
        return taken

    def seen(self, place: K, events: int) -> None:
        """So many events were found there."""
        self._awaited[place] -= events
        self._vain_looks.pop(place, None)
        if self._awaited[place] <= 0:
            del self._awaited[place]

    def look_again(self, places: Iterable[K]) -> None:
        """Those of the places that still have events to come get another look in a moment."""
        missing = {place for place in places if place in self._awaited}
        self._vain_looks.update(missing)
        for place in [place for place in missing if self._vain_looks[place] > _MAX_VAIN_LOOKS]:
            missing.remove(place)
            del self._awaited[place], self._vain_looks[place]
        if missing:
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self.look_at, missing)
