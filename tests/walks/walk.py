"""A random walk: calls about money in any order, at any time, each as likely to be refused as accepted.

What must hold whatever is called: no answer is a fault of the platform's, no handler gives up, the books are
sound, usage adds up, a preview leaves nothing behind, and every invoice follows from its evidence.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, TypeVar

import grpc
from billing.catalog.v1 import catalog_pb2, price_override_service_pb2
from billing.catalog.v1.price_override_service_pb2_grpc import PriceOverrideServiceStub
from billing.customer.v1 import customer_pb2
from billing.invoice.v1 import invoice_pb2
from billing.invoice.v1 import invoice_service_pb2 as invoices
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from billing.subscription.v1 import subscription_service_pb2 as rpc
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.usage.v1 import usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.domains.invoice.verification import verify
from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.support import correction, money
from tests.support.bundle import bundle_of
from tests.support.footprint import footprint
from tests.support.invoice import invoices_of
from tests.support.platform import Platform
from tests.support.reporting import usage_record, use_batch
from tests.walks.shop import Shop
from tests.walks.wishes import Subscribed, Wishes

FAULTS = ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED")
BEGINNING = datetime(2026, 2, 1, tzinfo=UTC)
SPAN = timedelta(days=90)
"""Of usage, reconciled at a time."""
AGES = (*[timedelta()] * 3, timedelta(seconds=1), timedelta(hours=5), timedelta(days=3), timedelta(days=34))
PROPERTIES: Sequence[Mapping[str, str]] = (
    {},
    {"region": "eu", "user": "a"},
    {"region": "us", "user": "b"},
    {"user": "c"},
)
CORRECTED = (
    ("fee", "dear_fee"),
    ("sum", "other_sum"),
    ("other_sum", "sum"),
    ("max", "count"),
    ("held", "sum"),
)

Answer = TypeVar("Answer")


@dataclass
class Walk:
    platform: Platform
    chance: Random
    shop: Shop
    wishes: Wishes = field(init=False)
    story: list[str] = field(default_factory=list)
    subscriptions: list[Subscribed] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wishes = Wishes(self.platform, self.chance, self.shop)

    async def go(self, steps: int) -> None:
        while not self.subscriptions:
            await self.subscribe()
        actions = [action for action, _ in ACTIONS]
        weights = [weight for _, weight in ACTIONS]
        for _ in range(steps):
            self.platform.clock.advance(microseconds=self.chance.randint(1000, 900_000))
            (action,) = self.chance.choices(actions, weights)
            await action(self)
            if self.chance.random() < 0.6:
                await self.platform.drain()
            await self.check()
        await self.platform.drain()
        await self.check()
        await self.check_invoices()

    async def attempt(self, what: object, call: Awaitable[Answer]) -> Answer | None:
        """The answer, or None when the call is refused."""
        said = f"{self.platform.clock.now()} {what}".replace("\n", " ")
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            self.story.append(f"{said}: {error.code().name} {error.details()}")
            if error.code().name in FAULTS:
                raise
            return None
        self.story.append(said)
        return answer

    # What is checked

    async def check(self) -> None:
        books = self.platform.stub(LedgerServiceStub)
        sound = await books.VerifyBooks(ledger_service_pb2.VerifyBooksRequest())
        assert sound.sound, sound
        assert (await books.GetTrialBalance(ledger_service_pb2.GetTrialBalanceRequest())).balanced
        usage, start = self.platform.stub(UsageServiceStub), BEGINNING
        while start < self.platform.clock.now() + timedelta(days=40):
            request = usage_service_pb2.ReconcileUsageRequest(
                start=timestamp(start), end=timestamp(start + SPAN)
            )
            reconciled = await usage.ReconcileUsage(request)
            assert reconciled.balanced, reconciled
            start += SPAN
        assert not await self.platform.rows("SELECT * FROM event_handler_failures")
        assert not await self.platform.rows("SELECT * FROM billing_cycles WHERE failed_attempts > 0")

    async def check_invoices(self) -> None:
        stub = self.platform.stub(InvoiceServiceStub)
        for customer in self.shop.customers:
            for invoice in await self.invoices(customer):
                bundle = await bundle_of(self.platform, invoice.id)
                wrong = [check for check in verify(bundle) if not check.ok]
                assert not wrong, (invoice, wrong)
                for line in bundle.invoice.lines:
                    await self.attempt(
                        f"explain {line.id}",
                        stub.ExplainLine(invoices.ExplainLineRequest(invoice_line_id=line.id)),
                    )

    async def invoices(self, customer: customer_pb2.Customer) -> list[invoice_pb2.Invoice]:
        """In the same order on every walk of a seed: ids of one moment are not."""
        request = invoices.ListInvoicesRequest(customer_id=customer.id, page_size=500)
        made = (await self.platform.stub(InvoiceServiceStub).ListInvoices(request)).invoices
        return sorted(made, key=lambda one: (one.number, one.subtotal_minor, one.total_minor))

    # What is done

    async def subscribe(self) -> None:
        customer, request = self.wishes.subscription()
        answer = await self.attempt(
            request, self.platform.stub(SubscriptionServiceStub).CreateSubscription(request)
        )
        if answer is not None:
            self.subscriptions.append(Subscribed(answer.subscription.id, customer))

    async def change(self) -> None:
        _, hypothesis, call = self.wishes.change(self.chance.choice(self.subscriptions))
        await self.attempt(hypothesis, call())

    async def preview(self) -> None:
        """What is previewed comes to be, of a subscription that has its invoices to itself."""
        subscribed = self.chance.choice(self.subscriptions)
        name, request, call = self.wishes.change(subscribed)
        before = await footprint(self.platform)
        supposed = await self.attempt(
            f"preview {name} {request}",
            self.platform.stub(InvoiceServiceStub).PreviewInvoice(
                invoices.PreviewInvoiceRequest(**{name: request})
            ),
        )
        assert await footprint(self.platform) == before
        if supposed is None or subscribed.customer.consolidate_invoices:
            return
        known = {invoice.id for invoice in await invoices_of(self.platform, subscribed.id)}
        assert await self.attempt(request, call()) is not None, "its preview was accepted"
        end = max(instant(supposed.invoice.period.end), self.platform.clock.now())
        await self.pass_until(end + timedelta(hours=1, seconds=1))
        made = [one for one in await invoices_of(self.platform, subscribed.id) if one.id not in known]
        if not supposed.invoice.lines:
            assert not any(invoice.subtotal_minor for invoice in made), (supposed, made)
        elif end < self.platform.clock.now():
            assert _amounts(supposed.invoice) in map(_amounts, made), (supposed, made)

    async def suppose(self) -> None:
        """Previews of what never comes to be."""
        customer, create = self.wishes.subscription()
        assumed = invoices.AssumedUsage(meter_code=self.chance.choice(self.shop.meters), quantity="50")
        wanted: dict[str, Any] = self.chance.choice(
            [
                {"create": create},
                {"create": create, "coupon_code": f"FIXED-{customer.currency}"},
                {"subscription_id": self.chance.choice(self.subscriptions).id},
                {"subscription_id": self.chance.choice(self.subscriptions).id, "assumed_usage": [assumed]},
            ]
        )
        request = invoices.PreviewInvoiceRequest(**wanted)
        before = await footprint(self.platform)
        await self.attempt(request, self.platform.stub(InvoiceServiceStub).PreviewInvoice(request))
        assert await footprint(self.platform) == before

    async def use(self) -> None:
        subscribed, now = self.chance.choice(self.subscriptions), self.platform.clock.now()
        records = []
        for _ in range(self.chance.choice([1, 3, 8])):
            quantity = self.chance.choice(["0", "1", "7", "12.345", "400", "0.000000000001"])
            record = usage_record(
                self.platform,
                subscribed.id,
                quantity,
                now - self.chance.choice(AGES),
                meter=self.chance.choice(["sum", "sum", *self.shop.meters]),
            )
            record.properties.update(self.chance.choice(PROPERTIES))
            records.append(record)
        self.keys += [record.idempotency_key for record in records]
        await self.attempt(records, use_batch(self.platform, records))

    async def correct(self) -> None:
        key = self.chance.choice(self.keys or ["none"])
        if self.chance.random() < 0.5:
            await self.attempt(f"retract {key}", correction.retract(self.platform, key))
        else:
            quantity = self.chance.choice(["0", "5", "500"])
            await self.attempt(f"correct {key} {quantity}", correction.correct(self.platform, key, quantity))

    async def let_time_pass(self) -> None:
        span = self.chance.choice([{"hours": 1}, {"days": 1}, {"days": 8, "seconds": 17}, {"days": 31}])
        self.story.append(f"{self.platform.clock.now()} {span} pass")
        self.platform.clock.advance(**span)

    async def reach_a_boundary(self) -> None:
        """The end of a period, or that of its grace."""
        request = rpc.GetSubscriptionRequest(subscription_id=self.chance.choice(self.subscriptions).id)
        answer = await self.platform.stub(SubscriptionServiceStub).GetSubscription(request)
        if answer.subscription.HasField("current_period_end"):
            grace = timedelta(hours=self.chance.choice([0, 1]))
            await self.pass_until(instant(answer.subscription.current_period_end) + grace)

    async def pass_until(self, moment: datetime) -> None:
        """Unless it is long gone, or far ahead."""
        ahead = moment - self.platform.clock.now()
        if timedelta() <= ahead < timedelta(days=100):
            self.story.append(f"{self.platform.clock.now()} until {moment}")
            await self.platform.pass_time(seconds=ahead.total_seconds())

    async def handle_an_invoice(self) -> None:
        made = await self.invoices(self.chance.choice(self.shop.customers))
        if not made:
            return
        stub, one = self.platform.stub(InvoiceServiceStub), self.chance.choice(made)
        due_minor = max(1, self.chance.choice([one.amount_due_minor, one.amount_due_minor // 2]))
        named: dict[str, Any] = {"request_id": new_id("req"), "invoice_id": one.id}
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "void": lambda: money.void(self.platform, one.id),
            "pay": lambda: money.pay(self.platform, one.id, due_minor, one.currency),
            "apply credits to": lambda: money.apply_credits(self.platform, one.id),
            "credit all of": lambda: money.give_back(self.platform, one.id),
            "credit part of": lambda: self.give_back_part(one.id),
            "finalize": lambda: stub.FinalizeInvoice(invoices.FinalizeInvoiceRequest(**named)),
            "write off": lambda: stub.WriteOffInvoice(invoices.WriteOffInvoiceRequest(**named)),
            "reissue": lambda: stub.ReissueInvoice(invoices.ReissueInvoiceRequest(finalize=True, **named)),
            "reissue, as a draft,": lambda: stub.ReissueInvoice(invoices.ReissueInvoiceRequest(**named)),
        }
        name = self.chance.choice(list(calls))
        await self.attempt(f"{name} {one.id} {one.number}", calls[name]())

    async def give_back_part(self, invoice_id: str) -> object:
        request = invoices.GetInvoiceRequest(invoice_id=invoice_id)
        whole = (await self.platform.stub(InvoiceServiceStub).GetInvoice(request)).invoice
        line = self.chance.choice(whole.lines)
        return await money.give_back(self.platform, invoice_id, **{line.id: int(line.amount_minor / 2)})

    async def rerate(self) -> None:
        """A corrected price comes to what its preview shows."""
        cycles = await self.platform.rows(
            "SELECT id FROM billing_cycles WHERE state = 'invoiced' ORDER BY id"
        )
        if not cycles:
            return
        wrong, right = (self.shop.prices[code].id for code in self.chance.choice(CORRECTED))
        asked = (self.platform, self.chance.choice(cycles)["id"], wrong, right)
        before = await footprint(self.platform)
        shown = await self.attempt(f"preview rerating {asked[1:]}", correction.preview(*asked))
        assert await footprint(self.platform) == before
        made = await self.attempt(f"rerate {asked[1:]}", correction.rerate(*asked))
        if shown is not None and made is not None:
            assert _amounts(shown.invoice) == _amounts(made.invoice), (shown, made)
            assert _settled(shown.invoice) == _settled(made.invoice), (shown, made)

    async def give(self) -> None:
        """Credits, coupons, and one-off invoices."""
        customer, subscribed = self.chance.choice(self.shop.customers), self.chance.choice(self.subscriptions)
        coupon = self.chance.choice(["TENTH", "ONCE", f"FIXED-{customer.currency}"])
        amount_minor, kind = self.chance.choice([1, 500, 7000]), self.chance.randint(1, 5)
        items = (money.item(self.chance.choice(["10", "-3", "0.005", "123.456"])), money.item("5", "saas"))
        final = self.chance.random() < 0.7
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            f"{amount_minor} of kind {kind}": lambda: money.credit(
                self.platform, customer.id, amount_minor, currency=customer.currency, kind=kind
            ),
            coupon: lambda: money.redeem(self.platform, coupon, customer.id),
            f"TENTH of {subscribed.id}": lambda: money.redeem(
                self.platform, "TENTH", subscribed.customer.id, subscribed.id
            ),
            f"one-off invoice {items}": lambda: money.invoice(
                self.platform, customer.id, *items, finalize=final
            ),
        }
        name = self.chance.choice(list(calls))
        await self.attempt(f"{customer.id} {name}", calls[name]())

    async def negotiate(self) -> None:
        subscribed, now = self.chance.choice(self.subscriptions), self.platform.clock.now()
        amounts: dict[str, Any] = {
            "fee": {"unit_amount": "3.333"},
            "seats": {"unit_amount": "0"},
            "max": {"unit_amount": "0.5", "maximum_amount": "5.55"},
            "held": {"unit_amount": "0.5"},
            "sum": {
                "tiers": [
                    catalog_pb2.PriceTier(up_to="5", unit_amount="0.9"),
                    catalog_pb2.PriceTier(unit_amount="0.01"),
                ]
            },
        }
        code = self.chance.choice(list(amounts))
        wanted = dict(amounts[code])
        for name, days in (("valid_from", (-3, 3, 40)), ("valid_until", (12, 50))):
            if self.chance.random() < 0.3:
                wanted[name] = timestamp(now + timedelta(days=self.chance.choice(days)))
        whose: dict[str, Any] = self.chance.choice(
            [{"customer_id": subscribed.customer.id}, {"subscription_id": subscribed.id}]
        )
        request = price_override_service_pb2.SetPriceOverrideRequest(
            request_id=new_id("req"), price_id=self.shop.prices[code].id, **whose, **wanted
        )
        await self.attempt(request, self.platform.stub(PriceOverrideServiceStub).SetPriceOverride(request))

    async def set_rules(self) -> None:
        """Terms of taxes, or spend thresholds."""
        terms = {name: self.chance.randint(1, 2) for name in ("behavior", "rounding", "credit_application")}
        request = rpc.SetSpendThresholdsRequest(
            request_id=new_id("req"),
            subscription_id=self.chance.choice(self.subscriptions).id,
            spend_thresholds=self.chance.choice([[], self.wishes.thresholds()]),
        )
        if self.chance.random() < 0.5:
            await self.attempt(terms, money.set_terms(self.platform, **terms))
        else:
            stub = self.platform.stub(SubscriptionServiceStub)
            await self.attempt(request, stub.SetSpendThresholds(request))


ACTIONS: tuple[tuple[Callable[[Walk], Awaitable[None]], int], ...] = (
    (Walk.subscribe, 2),
    (Walk.change, 5),
    (Walk.preview, 4),
    (Walk.suppose, 2),
    (Walk.use, 8),
    (Walk.correct, 4),
    (Walk.let_time_pass, 4),
    (Walk.reach_a_boundary, 2),
    (Walk.handle_an_invoice, 4),
    (Walk.rerate, 1),
    (Walk.give, 2),
    (Walk.negotiate, 1),
    (Walk.set_rules, 1),
)
"""With how often each is done."""


def _amounts(invoice: invoice_pb2.Invoice) -> object:
    """What an invoice says, but for what identifies it."""
    lines = [(line.type, line.description, line.quantity, line.amount_minor) for line in invoice.lines]
    return lines, invoice.subtotal_minor


def _settled(invoice: invoice_pb2.Invoice) -> object:
    return invoice.total_minor, invoice.prepaid_minor, invoice.amount_due_minor
