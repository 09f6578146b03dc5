"""Holders kept in memory, and forgotten when an event says that they changed.

Events of this process are noted as they are committed; those of others come from the log, which is read for
every tenant that something is kept of. What neither tells is forgotten after a while all the same.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Never

import structlog
from billing_db.models import BillingEvent

from corebilling.bus.delivery import Position
from corebilling.db.failure import unavailable
from corebilling.domains.quota.answers import Answers
from corebilling.domains.quota.entitlement import Holder
from corebilling.events.tail import Tail
from corebilling.values.clock import Clock

_OF_THE_TENANT = ("quota.", "feature.", "tenant.")
_OF_A_CUSTOMER = ("usage.", "subscription.", "customer.")
# What is said about usage that was counted when it was reported.
_AFTERWARDS = frozenset(
    {
        "usage.rated",
        "usage.billed",
        "usage.quota.warning",
        "usage.quota.exceeded",
        "usage.threshold.reached",
    }
)

_log = structlog.get_logger()

HolderKey = tuple[str, str, str]
"""The tenant, and the customer or the subscription that is asked for."""


@dataclass(frozen=True, slots=True)
class ViewPolicy:
    """How long a holder is believed at most, and how much is kept: each quota or feature weighs 1."""

    keep_s: float = 10.0
    max_weight: int = 200_000
    max_tenants: int = 1_000


class _Behind(Exception):
    """More happened than the tail keeps: whatever is kept of the tenant may be wrong."""


@dataclass(eq=False, slots=True)
class _Following:
    """A tenant whose events are followed, and what they changed so far."""

    started: asyncio.Future[None]
    task: asyncio.Task[None] | None = None
    live: bool = True
    changes: int = 0
    """Anything that could matter to some holder."""
    epoch: int = 0
    """What matters to all of the tenant's holders."""
    uses: int = 0
    """What matters to those that share a quota with others."""
    loading: int = 0
    changed_meanwhile: set[str] = field(default_factory=set)
    """Customers, while something is being loaded."""


@dataclass(frozen=True, slots=True)
class _Kept:
    answers: Answers
    until: datetime
    following: _Following
    epoch: int
    uses: int
    weight: int

    def holds(self, now: datetime) -> bool:
        current = self.following
        return (
            now < self.until
            and current.live
            and self.epoch == current.epoch
            and (self.uses == current.uses or not self.answers.holder.shared)
        )


class HolderView:
    """Customers and subscriptions that were asked for lately, ready to be asked again."""

    def __init__(self, clock: Clock, tail: Tail, policy: ViewPolicy) -> None:
        self._clock = clock
        self._tail = tail
        self._policy = policy
        self._keep = timedelta(seconds=policy.keep_s)
        self._kept: OrderedDict[HolderKey, _Kept] = OrderedDict()
        self._weight = 0
        self._by_customer: defaultdict[tuple[str, str], set[HolderKey]] = defaultdict(set)
        self._tenants: OrderedDict[str, _Following] = OrderedDict()
        self._asking: dict[HolderKey, tuple[int, asyncio.Task[Answers]]] = {}

    def known(self, key: HolderKey) -> Answers | None:
        """The holder's answers, if what is known of it still holds."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.holds(self._clock.now()):
            return kept.answers
        self._forget(key)
        return None

    async def find(self, key: HolderKey, load: Callable[[], Awaitable[Holder]]) -> Answers:
        """The holder as it is loaded now: once for all who ask.

        Raises what the loading raises.
        """
        following = await self._follow(key[0])
        asked, task = self._asking.get(key, (0, None))
        # Whoever saw a change gets no answer that was on its way before.
        if task is None or asked != following.changes:
            task = asyncio.create_task(self._load(key, following, load))
            self._asking[key] = (following.changes, task)
        return await asyncio.shield(task)

    def note(self, tenant_id: str, subject: str, ordering_key: str) -> None:
        """This happened: forget what it changed."""
        following = self._tenants.get(tenant_id)
        if following is None:
            return
        if subject.startswith(_OF_THE_TENANT):
            following.changes += 1
            following.epoch += 1
        elif subject.startswith(_OF_A_CUSTOMER) and subject not in _AFTERWARDS:
            following.changes += 1
            following.uses += 1
            if following.loading:
                following.changed_meanwhile.add(ordering_key)
            for key in tuple(self._by_customer.get((tenant_id, ordering_key), ())):
                self._forget(key)

    async def stop(self) -> None:
        """Follows nobody any more."""
        tasks = [one.task for one in self._tenants.values() if one.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _load(
        self, key: HolderKey, following: _Following, load: Callable[[], Awaitable[Holder]]
    ) -> Answers:
        epoch, uses, now = following.epoch, following.uses, self._clock.now()
        following.loading += 1
        try:
            holder = await load()
            changed = holder.customer_id in following.changed_meanwhile
        finally:
            following.loading -= 1
            if not following.loading:
                following.changed_meanwhile.clear()
            if self._asking.get(key, (0, None))[1] is asyncio.current_task():
                del self._asking[key]
        until = min(now + self._keep, holder.changes_at)
        answers = Answers(holder)
        kept = _Kept(answers, until, following, epoch, uses, _weight(holder))
        # A test clock's time is not this clock's: nothing of a sandbox is kept.
        if not changed and not holder.sandbox and kept.holds(now):
            self._keep_answers(key, kept)
        return answers

    def _keep_answers(self, key: HolderKey, kept: _Kept) -> None:
        self._forget(key)
        self._kept[key] = kept
        self._weight += kept.weight
        self._by_customer[key[0], kept.answers.holder.customer_id].add(key)
        while self._weight > self._policy.max_weight:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: HolderKey) -> None:
        kept = self._kept.pop(key, None)
        if kept is None:
            return
        self._weight -= kept.weight
        customer = (key[0], kept.answers.holder.customer_id)
        self._by_customer[customer].discard(key)
        if not self._by_customer[customer]:
            del self._by_customer[customer]

    async def _follow(self, tenant_id: str) -> _Following:
        """Follows the tenant from before anything of it is read."""
        following = self._tenants.get(tenant_id)
        if following is None:
            following = _Following(asyncio.get_running_loop().create_future())
            self._tenants[tenant_id] = following
            following.task = asyncio.create_task(
                self._note_all(tenant_id, following), name="entitlement view"
            )
            # Not in the task itself: canceled before its first step, it never runs.
            following.task.add_done_callback(lambda _: self._end(tenant_id, following))
            if len(self._tenants) > self._policy.max_tenants:
                oldest = next(iter(self._tenants.values())).task
                assert oldest is not None, "each has one"
                oldest.cancel()
        await asyncio.shield(following.started)
        return following

    async def _note_all(self, tenant_id: str, following: _Following) -> None:
        """Until the stream of events ends, as it does after a while: the next who asks begins another."""
        try:
            async with aclosing(self._tail.follow(tenant_id, None, _matters, _too_far)) as events:
                async for _, row in events:
                    if row is not None:
                        self.note(tenant_id, row.subject, row.ordering_key)
                    elif not following.started.done():
                        following.started.set_result(None)
        except _Behind:
            pass
        except Exception as error:
            if following.started.done():
                _log.warning("entitlements_not_followed", tenant_id=tenant_id, exc_info=error)
            else:
                following.started.set_exception(error)

    def _end(self, tenant_id: str, following: _Following) -> None:
        following.live = False
        if not following.started.done():
            following.started.set_exception(unavailable("the tenant's events cannot be followed"))
        if self._tenants.get(tenant_id) is following:
            del self._tenants[tenant_id]
        for key in [key for key, kept in self._kept.items() if kept.following is following]:
            self._forget(key)


def _matters(row: BillingEvent) -> bool:
    return row.subject.startswith((*_OF_THE_TENANT, *_OF_A_CUSTOMER)) and row.subject not in _AFTERWARDS


async def _too_far(_after: Position, _to: Position, _limit: int) -> Sequence[Never]:
    raise _Behind


def _weight(holder: Holder) -> int:
    return 1 + sum(1 + len(held.features) + len(held.quotas) for held in holder.subscriptions)
