"""A tenant that has one of everything, made through the RPCs; its texts hold a marker."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from corebilling.mapping import instant, timestamp
from corebilling.rpc.method import Idempotency
from corebilling.values.ids import new_id
from tests.support.platform import Platform
from tests.support.replay import working
from tests.support.requests.calling import METHODS, Caller, with_key

BY_NAME = {method.name: method for method in METHODS}

# What a platform needs that worlds are built on: one attempt, and what failed is dead.
SETTINGS = {"router_max_attempts": 1, "webhook_max_retries": 0, "event_watch_heartbeat_seconds": 300}

# Events of this subject fail at the handler of webhooks, and become dead letters.
FAILING = "order.failed"
FAILING_HANDLER = "webhook.on_any_event"
_DEAD_DELIVERIES = 20


async def make_failing(platform: Platform) -> None:
    """From now on, until the database is gone."""
    await platform.rows(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no such luck'; END $$"
    )
    await platform.rows(
        "CREATE TRIGGER fail BEFORE INSERT ON webhook_deliveries FOR EACH ROW "
        f"WHEN (NEW.subject = '{FAILING}') EXECUTE FUNCTION fail()"
    )


@dataclass
class World:
    """One tenant, its owner's key, and an id of each kind of thing."""

    platform: Platform
    caller: Caller
    marker: str
    tenant_id: str
    owner_key: str
    ids: dict[str, str] = field(default_factory=dict)
    dead_deliveries: list[str] = field(default_factory=list)
    _numbers: "count[int]" = field(default_factory=count)

    @property
    def code(self) -> str:
        return f"{self.marker}-code"

    def fresh_code(self) -> str:
        return f"{self.marker}-{next(self._numbers)}"

    async def do(self, name: str, /, *, key: str | None = None, **fields: Any) -> Any:
        """Calls a method as the owner; fails unless it is answered. The last response of a stream."""
        method = BY_NAME[name]
        request: Any = method.request_class(**fields)
        if method.idempotency is Idempotency.REQUEST_ID and not request.request_id:
            request.request_id = new_id("req")
        headers = with_key(self.owner_key if key is None else key)
        answer = await self.caller.call(method, request, headers)
        assert answer.code == "OK", f"{name}: {answer.told} {answer.message}"
        return method.response_class.FromString(answer.responses[-1])

    async def now(self) -> datetime:
        """By the tenant's clock, which has arrived where it was sent."""
        while not (clock := (await self.do("GetTestClock")).clock).ready:
            # What is tried or replayed again waits for a while.
            await self.platform.pass_time(seconds=1)
        return instant(clock.now)

    # What a request uses up is made for it.

    async def api_key(self, role: str = "ROLE_VIEWER", **fields: Any) -> Any:
        return await self.do("CreateApiKey", name=f"{self.marker} key", role=role, **fields)

    async def customer(self) -> str:
        details = {
            "name": f"{self.marker} Ada",
            "company": f"{self.marker} company",
            "email": f"{self.marker}@example.com",
            "tax_id": f"{self.marker}-tax",
            "address": {"line1": f"{self.marker} street", "city": f"{self.marker} city", "country": "DE"},
        }
        external_id = f"{self.marker}-{next(self._numbers)}"
        made = await self.do("CreateCustomer", external_id=external_id, details=details)
        return str(made.customer.id)

    async def price(self, **terms: Any) -> str:
        """Metered, of the world's product and meter."""
        made = await self.do(
            "CreatePrice",
            product_id=self.ids["product"],
            code=f"{self.marker}-{next(self._numbers)}",
            description=f"{self.marker} price",
            **{
                "model": "PRICE_MODEL_PER_UNIT",
                "usage": "PRICE_USAGE_METERED",
                "meter_id": self.ids["meter"],
                "interval_unit": "INTERVAL_UNIT_MONTH",
                "unit_amount": "1",
                **terms,
            },
        )
        return str(made.price.id)

    async def fee(self) -> str:
        return await self.price(
            model="PRICE_MODEL_FLAT", usage="PRICE_USAGE_LICENSED", meter_id="", unit_amount="50"
        )

    async def plan(self, code: str = "") -> str:
        made = await self.do(
            "CreatePlan",
            code=code or self.fresh_code(),
            name=f"{self.marker} plan",
            items=[{"price_id": self.ids["fee"]}, {"price_id": self.ids["price"]}],
        )
        return str(made.plan.id)

    async def coupon(self, code: str = "") -> Any:
        made = await self.do(
            "CreateCoupon",
            code=code or self.fresh_code(),
            name=f"{self.marker} coupon",
            kind="DISCOUNT_KIND_PERCENT",
            percent="10",
            duration="DISCOUNT_DURATION_FOREVER",
        )
        return made.coupon

    async def discount(self) -> str:
        coupon = await self.coupon()
        made = await self.do("RedeemCoupon", code=coupon.code, customer_id=await self.customer())
        return str(made.discount.id)

    async def credit(self, customer_id: str = "", kind: str = "CREDIT_KIND_PROMOTIONAL") -> str:
        made = await self.do(
            "GrantCredit",
            customer_id=customer_id or self.ids["customer"],
            kind=kind,
            amount_minor=700,
            description=f"{self.marker} credit",
        )
        return str(made.credit.id)

    async def subscription(self) -> str:
        made = await self.do(
            "CreateSubscription", customer_id=await self.customer(), plan_id=self.ids["plan"]
        )
        return str(made.subscription.id)

    async def invoice(self, *, finalize: bool = True) -> Any:
        """Of a customer of its own, over 12.34."""
        items = [{"description": f"{self.marker} work", "unit_amount": "12.34"}]
        return (
            await self.do("CreateInvoice", customer_id=await self.customer(), items=items, finalize=finalize)
        ).invoice

    async def rated_price(self) -> str:
        """What the cycle is rated with by now."""
        rerated = (await self.do("ListReratedCharges", cycle_id=self.ids["cycle"])).charges
        wrong = {charge.price_id for charge in rerated}
        right = [charge.corrected_price_id for charge in rerated if charge.corrected_price_id not in wrong]
        assert right, "the corrections go round in circles"
        return str(right[0])

    async def price_override(self) -> str:
        made = await self.do(
            "SetPriceOverride",
            price_id=self.ids["price"],
            customer_id=await self.customer(),
            unit_amount="0.5",
        )
        return str(made.price_override.id)

    async def quota(self, meter_code: str = "") -> str:
        made = await self.do("SetQuota", **quota_terms(await self.subscription(), meter_code or self.code))
        return str(made.quota.id)

    async def tax_rate(self) -> str:
        made = await self.do(
            "CreateTaxRate",
            name=f"{self.marker} tax",
            # So few may be in force at one place.
            country="DE",
            region=self.fresh_code(),
            percent="19",
        )
        return str(made.tax_rate.id)

    async def webhook(self, *filters: str) -> str:
        made = await self.do(
            "CreateWebhook", url=f"http://127.0.0.1:9/{self.marker}", filters=filters or ["nothing.at.all"]
        )
        return str(made.webhook.id)

    async def usage(self, key: str = "", subscription_id: str = "") -> str:
        """A record's key."""
        record = {
            "idempotency_key": key or f"{self.marker}-{next(self._numbers)}",
            "subscription_id": subscription_id or self.ids["subscription"],
            "meter_code": self.code,
            "quantity": "5",
            "recorded_at": timestamp(await self.now()),
            "properties": {"note": f"{self.marker} note"},
        }
        await self.do("ReportUsage", record=record)
        return str(record["idempotency_key"])

    async def dead_letter(self) -> str:
        """An event that a handler has given up."""
        event_id = await self.published(FAILING)
        await self.platform.drain()
        return event_id

    async def published(self, subject: str) -> str:
        data = {"note": f"{self.marker} note"}
        made = await self.do(
            "PublishEvent", subject=subject, resource_id=f"{self.marker}-{next(self._numbers)}", data=data
        )
        return str(made.event.id)


def quota_terms(subject_id: str, meter_code: str) -> Mapping[str, Any]:
    return {
        "scope": "QUOTA_SCOPE_SUBSCRIPTION",
        "subject_id": subject_id,
        "meter_code": meter_code,
        "period": "QUOTA_PERIOD_BILLING_PERIOD",
        "limit_quantity": "1000",
        "enforcement": "QUOTA_ENFORCEMENT_SOFT",
        "thresholds": [{"percent": "80"}],
    }


async def new_world(platform: Platform, caller: Caller, marker: str) -> World:
    world = await empty_world(platform, caller, marker)
    await fill(world)
    return world


async def empty_world(platform: Platform, caller: Caller, marker: str) -> World:
    tenant_id, key = await platform.new_tenant(marker, clock_time=platform.clock.now())
    of_tenant = replace(platform, tenant_id=tenant_id, tenant_key=key)
    return World(of_tenant, caller, marker, tenant_id, key)


async def fill(world: World) -> None:
    await _agree(world)
    await _let_a_month_pass(world)
    await _work_on_it(world)
    await _look(world)


async def _agree(world: World) -> None:
    """What is sold, to whom, and on which terms."""
    ids, marker, code = world.ids, world.marker, world.code
    ids["code"] = code
    product = await world.do("CreateProduct", code=code, name=f"{marker} product", tax_category=code)
    ids["product"] = product.product.id
    meter = await world.do(
        "CreateMeter", code=code, name=f"{marker} meter", unit=marker, aggregation="AGGREGATION_SUM"
    )
    ids["meter"] = meter.meter.id
    ids["price"] = await world.price()
    ids["fee"] = await world.fee()
    ids["plan"] = await world.plan(code)
    await world.do("SetBranding", branding={"display_name": f"{marker} brand", "footer": f"{marker} footer"})
    await world.do("SetTaxTerms", terms={"behavior": "TAX_BEHAVIOR_EXCLUSIVE"})
    ids["webhook"] = await world.webhook("customer.*", FAILING)
    ids["customer"] = await world.customer()
    ids["external"] = (await world.do("GetCustomer", customer_id=ids["customer"])).customer.external_id
    for _ in range(_DEAD_DELIVERIES):
        await world.customer()
    ids["coupon"] = (await world.coupon(code)).id
    redeemed = await world.do("RedeemCoupon", code=code, customer_id=ids["customer"])
    ids["discount"] = redeemed.discount.id
    ids["credit"] = await world.credit()
    ids["tax_rate"] = await world.tax_rate()
    await world.do(
        "SetTaxExemption",
        customer_id=await world.customer(),
        exemption="TAX_EXEMPTION_EXEMPT",
        reference=f"{marker} exempt",
    )
    made = await world.do("CreateSubscription", customer_id=ids["customer"], plan_id=ids["plan"])
    ids["subscription"] = made.subscription.id
    ids["quota"] = (await world.do("SetQuota", **quota_terms(ids["subscription"], code))).quota.id
    await world.do("SetFeature", scope="QUOTA_SCOPE_PLAN", subject_id=ids["plan"], code=code, meter_code=code)
    ids["price_override"] = await world.price_override()
    ids["api_key"] = (await world.api_key()).api_key.id


async def _let_a_month_pass(world: World) -> None:
    """What is used is billed, what is to be told is told to nobody who listens."""
    ids = world.ids
    ids["usage_key"] = await world.usage(f"{world.marker}-key")
    await world.do("AdvanceTestClock", target_at=timestamp(await world.now() + timedelta(days=35)))
    await world.platform.drain()
    pending = {"state": "WEBHOOK_DELIVERY_STATE_PENDING"}
    while (await world.do("ListWebhookDeliveries", **pending)).deliveries:
        world.platform.clock.advance(minutes=5)
        await world.platform.app.webhooks.run_once()
    invoices = (await world.do("ListInvoices", customer_id=ids["customer"])).invoices
    ids["invoice"] = invoices[0].id
    lines = (await world.do("GetInvoice", invoice_id=ids["invoice"])).invoice.lines
    ids["invoice_line"] = next(line.id for line in lines if line.quantity == "5")
    cycles = (await world.do("ListBillingCycles", subscription_id=ids["subscription"])).cycles
    ids["cycle"] = cycles[-1].id


async def _work_on_it(world: World) -> None:
    """Payments, corrections, and what operators do."""
    ids, marker = world.ids, world.marker
    await world.do(
        "RecordPayment",
        invoice_id=ids["invoice"],
        amount_minor=100,
        currency="USD",
        reference=f"{marker} payment",
    )
    await world.do("IssueCreditNote", invoice_id=(await world.invoice()).id, reason=f"{marker} reason")
    await world.do("CorrectUsage", idempotency_key=ids["usage_key"], quantity="4", reason=f"{marker} reason")
    await world.do(
        "RerateCycle",
        cycle_id=ids["cycle"],
        price_id=ids["price"],
        corrected_price_id=await world.price(unit_amount="2"),
        reason=f"{marker} reason",
    )
    ids["dead_letter"] = await world.dead_letter()
    replayed = await world.published("order.placed")
    await world.platform.drain()
    async with working(world.platform), asyncio.timeout(30):
        await world.do("Replay", filter={"event_ids": [replayed]}, reason=f"{marker} reason")


async def _look(world: World) -> None:
    """Ids of what came about by itself."""
    ids = world.ids
    event = (await world.do("ListEvents", page_size=1)).events[0]
    ids["event"], ids["correlation"] = event.id, event.metadata.correlation_id
    ids["journal"] = (await world.do("ListJournals")).journals[0].id
    ids["account"] = (await world.do("ListAccounts")).accounts[0].id
    ids["resume_token"] = (await world.do("WatchEvents")).resume_token
    dead = (await world.do("ListWebhookDeadLetters", page_size=500)).dead_letters
    world.dead_deliveries = [letter.delivery.id for letter in dead]
    ids["delivery"] = world.dead_deliveries.pop()
