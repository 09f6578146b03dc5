"""What may be asked for on a walk: subscriptions, and changes of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from billing.customer.v1 import customer_pb2
from billing.subscription.v1 import subscription_pb2
from billing.subscription.v1 import subscription_service_pb2 as rpc
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.platform import Platform
from tests.walks.shop import Shop


@dataclass(frozen=True)
class Subscribed:
    id: str
    customer: customer_pb2.Customer


@dataclass(frozen=True)
class Wishes:
    platform: Platform
    chance: Random
    shop: Shop

    def subscription(self) -> tuple[customer_pb2.Customer, rpc.CreateSubscriptionRequest]:
        customer = self.chance.choice(self.shop.customers)
        terms: dict[str, tuple[float, Callable[[], Any]]] = {
            "trial_days": (0.3, lambda: self.chance.choice([1, 5, 31])),
            "billing_day": (0.3, lambda: self.chance.choice([1, 15, 29, 30, 31])),
            "minimum_commitment_minor": (0.3, lambda: self.chance.choice([1, 5000, 20_000])),
            "spend_thresholds": (0.4, self.thresholds),
            "start_at": (0.15, lambda: self._ahead(1, 20)),
        }
        chosen = {name: draw() for name, (share, draw) in terms.items() if self.chance.random() < share}
        items = self._items(customer.currency)
        return customer, rpc.CreateSubscriptionRequest(
            request_id=new_id("req"), customer_id=customer.id, items=items, **chosen
        )

    def change(self, subscribed: Subscribed) -> tuple[str, Any, Callable[[], Awaitable[Any]]]:
        """A hypothesis of previews, its request, and the call that makes it true."""
        stub = self.platform.stub(SubscriptionServiceStub)
        named: dict[str, Any] = {"request_id": new_id("req"), "subscription_id": subscribed.id}
        match self.chance.choice(["change", "change", "change", "cancel", "pause", "resume"]):
            case "change":
                change = rpc.ChangeSubscriptionRequest(
                    items=self._items(subscribed.customer.currency), **self._change_terms(), **named
                )
                return "change", change, lambda: stub.ChangeSubscription(change)
            case "cancel":
                at_the_end = self.chance.random() < 0.5
                cancel = rpc.CancelSubscriptionRequest(at_period_end=at_the_end, **named)
                return "cancel", cancel, lambda: stub.CancelSubscription(cancel)
            case "pause":
                pause = rpc.PauseSubscriptionRequest(**named)
                return "pause", pause, lambda: stub.PauseSubscription(pause)
            case _:
                resume = rpc.ResumeSubscriptionRequest(**named)
                return "resume", resume, lambda: stub.ResumeSubscription(resume)

    def _change_terms(self) -> dict[str, Any]:
        terms: dict[str, Any] = {"proration_behavior": self.chance.randint(0, 3)}
        moment = self.chance.choice(["now", "now", "now", "end", "ahead", "back"])
        if moment == "end":
            terms["at_period_end"] = True
        elif moment != "now":
            terms["effective_at"] = self._ahead(1, 10, 40) if moment == "ahead" else self._ahead(-1, -3)
        if self.chance.random() < 0.15:
            terms["minimum_commitment_minor"] = self.chance.choice([0, 7000])
        return terms

    def _items(self, currency: str) -> list[rpc.NewSubscriptionItem]:
        codes = self.chance.sample(self.shop.sold_in(currency), self.chance.randint(1, 5))
        return [
            rpc.NewSubscriptionItem(
                price_id=self.shop.prices[code].id,
                quantity=self.chance.choice(["", "3", "2.5"]) if code == "seats" else "",
            )
            for code in codes
        ]

    def thresholds(self) -> list[subscription_pb2.SpendThreshold]:
        once = subscription_pb2.SpendThreshold(amount_minor=self.chance.choice([300, 1000]))
        again = subscription_pb2.SpendThreshold(amount_minor=701, recurring=True)
        return self.chance.choice([[once], [again], [once, again]])

    def _ahead(self, *days: int) -> Any:
        return timestamp(self.platform.clock.now() + timedelta(days=self.chance.choice(days)))
