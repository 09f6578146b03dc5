"""Two customers that use the same, at the same prices: the careful one says so rightly from the start, the
hasty one wrongly at first. In the end both owe the same.

Books that balance, usage that adds up and evidence that can be followed do not see whether a correction gave
back more than was charged. This does: what is reported wrongly is retracted or corrected, what is forgotten
comes late, and what was sold at a wrong price is rated again. Lines come to the same to the cent, for their
roundings add up. What discounts and taxes make of them is rounded for each invoice, or line that corrects: in
all, invoices come to the same within one minor unit for each line that only one of the two has.

Both have their discounts from the start and for ever, for what comes late has those of its own invoice.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from random import Random
from typing import Any

import grpc
from billing.customer.v1 import customer_service_pb2
from billing.invoice.v1 import invoice_pb2
from billing.subscription.v1 import subscription_service_pb2 as rpc
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.usage.v1 import usage_pb2

from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.support import correction, money
from tests.support.catalog import new_customer
from tests.support.invoice import invoices_of
from tests.support.platform import Platform
from tests.support.reporting import usage_record, use_batch
from tests.walks.shop import CURRENCIES, Shop
from tests.walks.wishes import Wishes

MISPRICED = (("fee", "dear_fee"), ("dear_fee", "fee"), ("sum", "other_sum"), ("other_sum", "sum"))
"""At which price the one buys, and at which the other."""
CORRECTABLE = ("sum", "count", "max", "average", "blocks")
"""Meters whose records can be corrected."""
QUANTITIES = ("0", "1", "7", "12.345", "400")
PROPERTIES: Sequence[Mapping[str, str]] = ({"region": "eu", "user": "a"}, {"region": "us", "user": "b"}, {})
OLDEST = timedelta(days=34)
"""What is forgotten any longer is not accepted any more."""


@dataclass
class Wrong:
    """A record that the hasty one forgot, or that should be of another quantity; '' is not at all."""

    record: usage_pb2.UsageRecord
    right: str
    forgotten: bool = False


@dataclass
class Twins:
    """The hasty one and the careful one, in this order wherever there are two."""

    platform: Platform
    chance: Random
    shop: Shop
    story: list[str] = field(default_factory=list)
    customers: list[str] = field(default_factory=list)
    subscriptions: list[str] = field(default_factory=list)
    mispriced: tuple[str, str] | None = None
    codes: list[str] = field(default_factory=list)
    """Of the prices bought at first but for the one that is mispriced; one can be used."""
    meters: list[str] = field(default_factory=list)
    currency: str = ""
    wrong: list[Wrong] = field(default_factory=list)

    async def go(self, steps: int) -> None:
        await self.begin()
        actions = [self.use] * 5 + [self.think_again] + [self.let_time_pass] * 3 + [self.reach_a_boundary] * 2
        if not self.mispriced:
            actions += [self.change] * 2
        for _ in range(steps):
            await self.pass_time(timedelta(seconds=3, microseconds=self.chance.randint(1, 900_000)))
            await self.chance.choice(actions)()
        await self.end()
        await self.check()

    # What is done

    async def begin(self) -> None:
        chance = self.chance
        self.currency = chance.choice(CURRENCIES)
        terms = {name: chance.randint(1, 2) for name in ("behavior", "rounding", "credit_application")}
        await money.set_terms(self.platform, **terms)
        like = chance.choice(self.shop.customers)
        details = customer_service_pb2.CustomerDetails(
            name="Twin", timezone=like.timezone, address=like.address
        )
        coupons = chance.sample(["TENTH", "THIRD"], chance.choice([0, 1, 1, 2]))
        self.mispriced = chance.choice([None, None, *MISPRICED])
        others = [code for code in self.shop.sold_in(self.currency) if code not in chain(*MISPRICED)]
        self.codes = chance.sample(others, chance.randint(1, 3))
        self.codes.append(
            chance.choice([code for code in CORRECTABLE if code in others and code not in self.codes])
        )
        wishes = Wishes(self.platform, chance, self.shop)
        drawn: dict[str, tuple[float, Callable[[], Any]]] = {
            "trial_days": (0.2, lambda: chance.choice([1, 5])),
            "billing_day": (0.3, lambda: chance.choice([1, 15, 31])),
            "minimum_commitment_minor": (0 if self.mispriced else 0.3, lambda: chance.choice([5000, 20_000])),
            "spend_thresholds": (0.4, wishes.thresholds),
        }
        chosen = {name: draw() for name, (share, draw) in drawn.items() if chance.random() < share}
        self.say(f"{self.currency} {like.timezone} {terms} {coupons} {self.mispriced} {self.codes} {chosen}")
        for place in range(2):
            customer = await new_customer(self.platform, details=details, currency=self.currency)
            for code in coupons:
                await money.redeem(self.platform, code, customer.id)
            codes = [*self.codes, self.mispriced[place]] if self.mispriced else self.codes
            self.meters = [
                code.removeprefix("other_") for code in codes if code in (*self.shop.meters, "other_sum")
            ]
            request = rpc.CreateSubscriptionRequest(
                request_id=new_id("req"), customer_id=customer.id, items=self.items(codes), **chosen
            )
            made = await self.platform.stub(SubscriptionServiceStub).CreateSubscription(request)
            self.customers.append(customer.id)
            self.subscriptions.append(made.subscription.id)

    def items(self, codes: Sequence[str]) -> list[rpc.NewSubscriptionItem]:
        return [rpc.NewSubscriptionItem(price_id=self.shop.prices[code].id) for code in codes]

    async def use(self) -> None:
        """Several records, each at a time of its own: which of two is later must not be left to chance."""
        now = self.platform.clock.now()
        for number in range(self.chance.choice([1, 2, 4])):
            meter = self.chance.choice(self.meters)
            back = self.chance.choice([timedelta(), timedelta(), timedelta(days=3), timedelta(days=30)])
            way = self.chance.choice(["right", "forgotten", "too much", "mistaken"])
            if meter not in CORRECTABLE and way != "forgotten":
                way = "right"
            quantity = self.chance.choice(QUANTITIES)
            properties = self.chance.choice(PROPERTIES)
            hasty, careful = (
                usage_record(
                    self.platform, one, quantity, now - back - timedelta(microseconds=number), meter=meter
                )
                for one in self.subscriptions
            )
            for record in (hasty, careful):
                record.properties.update(properties)
            if way == "mistaken":
                hasty.quantity = self.chance.choice(QUANTITIES)
            said = f"{meter} {quantity} {back} ago {dict(properties)} {way} {hasty.quantity}"
            self.say(f"{said}: {await self.report(way, hasty, careful)}")
        await self.platform.drain()

    async def report(self, way: str, hasty: usage_pb2.UsageRecord, careful: usage_pb2.UsageRecord) -> bool:
        """Whether it is accepted, from both alike."""
        if way == "forgotten":
            taken = await self.is_taken(careful)
        else:
            taken = await self.is_taken(hasty)
            assert way == "too much" or taken == await self.is_taken(careful), way
        if taken and way != "right":
            right = "" if way == "too much" else careful.quantity
            self.wrong.append(Wrong(hasty, right, way == "forgotten"))
        return taken

    async def is_taken(self, record: usage_pb2.UsageRecord) -> bool:
        answer = await use_batch(self.platform, [record])
        return bool(answer.accepted)

    async def think_again(self) -> None:
        """Puts one right, or makes it another mistake."""
        if not self.wrong:
            return
        one = self.chance.choice(self.wrong)
        if one.forgotten or self.chance.random() < 0.7:
            await self.put_right(one)
        else:
            quantity = self.chance.choice(QUANTITIES)
            self.say(f"correct {one.record.meter_code} {one.record.quantity} to {quantity}")
            await correction.correct(self.platform, one.record.idempotency_key, quantity)
            await self.platform.drain()

    async def put_right(self, one: Wrong) -> None:
        self.wrong.remove(one)
        record, key = one.record, one.record.idempotency_key
        self.say(f"put right {record.meter_code} {record.quantity}: {one.right or 'none'}")
        if one.forgotten:
            assert await self.is_taken(record), "it was accepted of the other one"
        elif one.right:
            await correction.correct(self.platform, key, one.right)
        else:
            await correction.retract(self.platform, key)
        await self.platform.drain()

    async def change(self) -> None:
        """Both alike: what is accepted of the one is of the other."""
        stub, now = self.platform.stub(SubscriptionServiceStub), self.platform.clock.now()
        kind = self.chance.choice(["change", "change", "pause", "resume"])
        sold = [code for code in self.shop.sold_in(self.currency) if code != "other_sum"]
        codes = self.chance.sample(sold, self.chance.randint(1, 4))
        when = self.chance.choice(["now", "now", "ahead", "end"])
        terms: dict[str, Any] = {
            "proration_behavior": self.chance.randint(0, 3),
            "at_period_end": when == "end",
            "effective_at": timestamp(now + timedelta(days=3)) if when == "ahead" else None,
        }

        async def make_it(subscription_id: str) -> bool:
            named: dict[str, Any] = {"request_id": new_id("req"), "subscription_id": subscription_id}
            match kind:
                case "pause":
                    call: Awaitable[object] = stub.PauseSubscription(rpc.PauseSubscriptionRequest(**named))
                case "resume":
                    call = stub.ResumeSubscription(rpc.ResumeSubscriptionRequest(**named))
                case _:
                    request = rpc.ChangeSubscriptionRequest(items=self.items(codes), **terms, **named)
                    call = stub.ChangeSubscription(request)
            return await self.is_accepted(call)

        hasty, careful = [await make_it(one) for one in self.subscriptions]
        self.say(f"{kind} {codes} {terms}: {hasty}")
        assert hasty == careful
        await self.platform.drain()

    async def let_time_pass(self) -> None:
        await self.pass_time(self.chance.choice([timedelta(hours=1), timedelta(days=1), timedelta(days=9)]))

    async def reach_a_boundary(self, grace: timedelta | None = None) -> None:
        """The end of the period, or that of its grace."""
        request = rpc.GetSubscriptionRequest(subscription_id=self.subscriptions[0])
        answer = await self.platform.stub(SubscriptionServiceStub).GetSubscription(request)
        if grace is None:
            grace = timedelta(hours=self.chance.choice([0, 1]))
        ahead = instant(answer.subscription.current_period_end) + grace - self.platform.clock.now()
        await self.pass_time(max(ahead, timedelta()))

    async def pass_time(self, span: timedelta) -> None:
        """What is forgotten comes to mind as long as it is accepted."""
        until = self.platform.clock.now() + span
        for one in [one for one in self.wrong if one.forgotten]:
            if until - instant(one.record.recorded_at) > OLDEST:
                await self.put_right(one)
        if span > timedelta(minutes=1):
            self.say(f"until {until}")
        await self.platform.pass_time(seconds=span.total_seconds())

    async def end(self) -> None:
        """All is put right, part of it once the prices are, and invoiced."""
        for one in self.wrong[::2]:
            await self.put_right(one)
        if self.mispriced:
            await self.correct_prices(*self.mispriced)
        for one in list(self.wrong):
            await self.put_right(one)
        await self.reach_a_boundary(timedelta(hours=1, seconds=1))

    async def correct_prices(self, wrong: str, right: str) -> None:
        """From the next period on, and back to the first one."""
        await self.platform.stub(SubscriptionServiceStub).ChangeSubscription(
            rpc.ChangeSubscriptionRequest(
                request_id=new_id("req"),
                subscription_id=self.subscriptions[0],
                items=self.items([*self.codes, right]),
                at_period_end=True,
            )
        )
        await self.reach_a_boundary(timedelta(hours=1, seconds=1))
        cycles = await self.platform.rows(
            "SELECT id FROM billing_cycles WHERE subscription_id = $1 AND state = 'invoiced' "
            "AND threshold_minor = 0 ORDER BY id",
            self.subscriptions[0],
        )
        prices = [self.shop.prices[code].id for code in (wrong, right)]
        for cycle in cycles:
            rerated = await self.is_accepted(correction.rerate(self.platform, cycle["id"], *prices))
            self.say(f"rerate {cycle['id']} from {wrong} to {right}: {rerated}")
        await self.platform.drain()

    async def is_accepted(self, call: Awaitable[object]) -> bool:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            if error.code().name not in ("INVALID_ARGUMENT", "FAILED_PRECONDITION"):
                raise
            self.say(str(error.details()))
            return False
        return True

    def say(self, what: str) -> None:
        self.story.append(f"{self.platform.clock.now()} {what}".replace("\n", " "))

    # What is checked

    async def check(self) -> None:
        made = [await self.invoices(one) for one in self.customers]
        subtotals = [sum(invoice.subtotal_minor for invoice in one) for one in made]
        totals = [sum(invoice.total_minor for invoice in one) for one in made]
        hasty, careful = [
            Counter(line_key(line) for invoice in one for line in invoice.lines) for one in made
        ]
        differing = ((hasty - careful) + (careful - hasty)).total()
        told = f"{subtotals} {totals}\nhasty only: {hasty - careful}\ncareful only: {careful - hasty}"
        assert subtotals[0] == subtotals[1], told
        assert abs(totals[0] - totals[1]) <= differing, told

    async def invoices(self, customer_id: str) -> list[invoice_pb2.Invoice]:
        return await invoices_of(self.platform, customer_id=customer_id)


def line_key(line: invoice_pb2.InvoiceLine) -> tuple[object, ...]:
    """What makes a difference of a line."""
    return instant(line.period.start), line.amount_minor, line.discount_minor, line.tax_minor
