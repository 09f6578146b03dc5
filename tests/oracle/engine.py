"""The same lives, lived on the platform: every step is an RPC, and time is a sandbox tenant's clock.

What is done at one moment is done for all customers at once, in rounds: the order in which one customer does
things is kept, and nothing else is promised by anybody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import zip_longest
from typing import Any, TypeVar

import grpc
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.credit.v1 import credit_pb2, credit_service_pb2
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.discount.v1 import discount_pb2, discount_service_pb2
from billing.discount.v1.discount_service_pb2_grpc import DiscountServiceStub
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.tax.v1 import tax_pb2, tax_service_pb2
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceStub
from billing.tenant.v1 import tenant_pb2, tenant_service_pb2
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub
from billing.types.v1 import period_pb2
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.mapping import enum_number, instant, timestamp
from corebilling.values.ids import new_id
from tests.oracle.world import (
    METERS,
    SUBJECT,
    Action,
    Cancel,
    Change,
    Correct,
    Customer,
    Grant,
    Invoice,
    Item,
    Line,
    Pause,
    Price,
    Redeem,
    Resume,
    Seller,
    Subscribe,
    Use,
    Year,
)
from tests.support.platform import Platform

AT_ONCE = 16
"""Calls under way; the server has half as many connections."""
BATCH_RECORDS = 1000

Result = TypeVar("Result")


@dataclass
class Account:
    """A customer as the platform knows it."""

    id: str
    currency: str
    interval: tuple[str, int]
    prices: dict[Price, str]
    subscription_id: str = ""
    credits: list[str] = field(default_factory=list)
    answers: list[bool] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """Of the records that were reported."""


@dataclass
class Shop:
    """A tenant that its customers buy from, on a clock of its own."""

    platform: Platform
    seller: Seller
    tenant_id: str = ""
    key: str = ""
    products: dict[str, str] = field(default_factory=dict)
    meters: dict[str, str] = field(default_factory=dict)

    def stub(self, stub_class: Any) -> Any:
        return self.platform.stub(stub_class, key=self.key)

    async def open(self, categories: Iterable[str]) -> None:
        """Sells products of these tax categories."""
        operator = self.platform.operator_key
        seller = self.seller
        slug = new_id("t").replace("_", "-")
        tenant = await self.platform.stub(TenantServiceStub, key=operator).CreateTenant(
            tenant_service_pb2.CreateTenantRequest(
                request_id=new_id("req"),
                name=slug,
                slug=slug,
                mode=tenant_pb2.TENANT_MODE_SANDBOX,
                clock_time=timestamp(seller.begins),
                proration_grain=enum_number(tenant_pb2.ProrationGrain, seller.grain),  # type: ignore[arg-type]
            )
        )
        self.tenant_id = tenant.tenant.id
        access = self.platform.stub(AccessServiceStub, key=operator)
        request = access_service_pb2.CreateApiKeyRequest(
            tenant_id=self.tenant_id, request_id=new_id("req"), name=slug, role=api_key_pb2.ROLE_OWNER
        )
        self.key = (await access.CreateApiKey(request)).secret
        await self._set_taxes()
        for code, terms in METERS.items():
            meter = catalog_service_pb2.CreateMeterRequest(
                request_id=new_id("req"),
                code=code,
                name=code,
                aggregation=enum_number(catalog_pb2.Aggregation, terms.aggregation),  # type: ignore[arg-type]
                unique_property=SUBJECT if terms.aggregation == "unique" else "",
            )
            if terms.divide_by:
                meter.transform.divide_by = terms.divide_by
                meter.transform.block_size = terms.block_size
                if terms.rounding:
                    rounding = enum_number(catalog_pb2.QuantityRounding, terms.rounding)
                    meter.transform.rounding = rounding  # type: ignore[assignment]
            self.meters[code] = (await self.stub(CatalogServiceStub).CreateMeter(meter)).meter.id
        for category in sorted(categories):
            product = catalog_service_pb2.CreateProductRequest(
                request_id=new_id("req"), code=f"product-{category}", name="Product", tax_category=category
            )
            made = await self.stub(CatalogServiceStub).CreateProduct(product)
            self.products[category] = made.product.id

    async def _set_taxes(self) -> None:
        seller, taxes = self.seller, self.stub(TaxServiceStub)
        terms = tax_pb2.TaxTerms(
            behavior=enum_number(tax_pb2.TaxBehavior, seller.tax_behavior),  # type: ignore[arg-type]
            rounding=enum_number(tax_pb2.TaxRounding, seller.tax_rounding),  # type: ignore[arg-type]
            credit_application=enum_number(  # type: ignore[arg-type]
                tax_pb2.CreditApplication, seller.credit_application
            ),
        )
        await taxes.SetTaxTerms(tax_service_pb2.SetTaxTermsRequest(request_id=new_id("req"), terms=terms))
        for place, rate in enumerate(seller.tax_rates):
            await taxes.CreateTaxRate(
                tax_service_pb2.CreateTaxRateRequest(
                    request_id=new_id("req"),
                    name=f"Tax {place}",
                    country=rate.country,
                    region=rate.region,
                    category=rate.category,
                    percent=rate.percent,
                    compound=rate.compound,
                )
            )

    async def welcome(self, customer: Customer) -> Account:
        request = customer_service_pb2.CreateCustomerRequest(
            request_id=new_id("req"),
            currency=customer.currency,
            details=customer_service_pb2.CustomerDetails(
                name=customer.name,
                timezone=customer.timezone,
                address=customer_pb2.Address(country=customer.country, region=customer.region),
            ),
        )
        made = (await self.stub(CustomerServiceStub).CreateCustomer(request)).customer
        if customer.exemption:
            exemption = enum_number(tax_pb2.TaxExemption, customer.exemption)
            await self.stub(TaxServiceStub).SetTaxExemption(
                tax_service_pb2.SetTaxExemptionRequest(
                    request_id=new_id("req"),
                    customer_id=made.id,
                    exemption=exemption,  # type: ignore[arg-type]
                )
            )
        prices = {price: await self._offer(customer, price) for price in customer.prices}
        return Account(made.id, customer.currency, customer.interval, prices)

    async def _offer(self, customer: Customer, price: Price) -> str:
        unit, count = customer.interval
        usage = catalog_pb2.PRICE_USAGE_METERED if price.meter else catalog_pb2.PRICE_USAGE_LICENSED
        request = catalog_service_pb2.CreatePriceRequest(
            request_id=new_id("req"),
            product_id=self.products[price.tax_category],
            code=f"{customer.name}-{price.code}",
            currency=customer.currency,
            model=enum_number(catalog_pb2.PriceModel, price.model),  # type: ignore[arg-type]
            usage=usage,
            meter_id=self.meters[price.meter] if price.meter else "",
            interval_unit=enum_number(period_pb2.IntervalUnit, unit),  # type: ignore[arg-type]
            interval_count=count,
            unit_amount=price.unit_amount,
            unit_size=price.unit_size,
            tiers=[
                catalog_pb2.PriceTier(
                    up_to=tier.up_to,
                    unit_amount=tier.unit_amount,
                    flat_amount=tier.flat_amount,
                    block_size=tier.block_size,
                    maximum_amount=tier.maximum_amount,
                )
                for tier in price.tiers
            ],
            included_quantity=price.included_quantity,
            minimum_amount=price.minimum_amount,
            maximum_amount=price.maximum_amount,
            no_flat_amount_when_unused=price.no_flat_amount_when_unused,
        )
        return str((await self.stub(CatalogServiceStub).CreatePrice(request)).price.id)

    async def wait_until(self, at: datetime) -> None:
        """Advances the clock, and does all that falls due on the way."""
        self.platform.clock.advance(seconds=1)
        request = schedule_service_pb2.AdvanceTestClockRequest(
            request_id=new_id("req"), target_at=timestamp(at)
        )
        await self.stub(ScheduleServiceStub).AdvanceTestClock(request)
        await self.platform.drain()

    async def act(self, done: Iterable[tuple[Account, Sequence[Action]]]) -> None:
        """Does what each customer does in turn, for all of them together, and notes what was accepted."""
        turns = [[(account, turn) for turn in in_turns(actions)] for account, actions in done]
        for together in zip_longest(*turns):
            alone, batch = [], []
            for account, turn in filter(None, together):
                if len(turn) == 1:
                    alone.append((account, turn[0]))
                else:
                    batch += [(account, use) for use in turn]
            await at_once(self._act_alone(account, action) for account, action in alone)
            for begin in range(0, len(batch), BATCH_RECORDS):
                await self._use_together(batch[begin : begin + BATCH_RECORDS])

    async def _act_alone(self, account: Account, action: Action) -> None:
        account.answers.append(await self._is_accepted(account, action))

    async def _use_together(self, uses: Sequence[tuple[Account, Use]]) -> None:
        request = usage_service_pb2.BatchReportUsageRequest(
            records=[_record(account, use) for account, use in uses]
        )
        answer = await self.stub(UsageServiceStub).BatchReportUsage(request)
        refused = {result.index: result.outcome for result in answer.results}
        assert set(refused.values()) <= {usage_pb2.USAGE_OUTCOME_REJECTED}
        assert answer.accepted == len(uses) - len(refused)
        for index, (account, _) in enumerate(uses):
            account.answers.append(index not in refused)

    async def _is_accepted(self, account: Account, action: Action) -> bool:
        try:
            await self._act(account, action)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (
                grpc.StatusCode.INVALID_ARGUMENT,
                grpc.StatusCode.FAILED_PRECONDITION,
                grpc.StatusCode.NOT_FOUND,
            ):
                raise
            return False
        return True

    async def _act(self, account: Account, action: Action) -> None:
        subscriptions, name = self.stub(SubscriptionServiceStub), account.subscription_id
        match action:
            case Subscribe():
                made = await subscriptions.CreateSubscription(
                    subscription_service_pb2.CreateSubscriptionRequest(
                        request_id=new_id("req"),
                        customer_id=account.id,
                        items=_items(account, action.items),
                        trial_days=action.trial_days,
                        start_at=timestamp(action.start_at),
                    )
                )
                account.subscription_id = made.subscription.id
            case Change():
                await subscriptions.ChangeSubscription(
                    subscription_service_pb2.ChangeSubscriptionRequest(
                        request_id=new_id("req"),
                        subscription_id=name,
                        items=_items(account, action.items),
                        proration_behavior=enum_number(  # type: ignore[arg-type]
                            subscription_pb2.ProrationBehavior, action.behavior
                        ),
                        at_period_end=action.at_period_end,
                        effective_at=timestamp(action.effective_at) if action.effective_at else None,
                    )
                )
            case Pause():
                request = subscription_service_pb2.PauseSubscriptionRequest(
                    request_id=new_id("req"), subscription_id=name
                )
                await subscriptions.PauseSubscription(request)
            case Resume():
                await subscriptions.ResumeSubscription(
                    subscription_service_pb2.ResumeSubscriptionRequest(
                        request_id=new_id("req"), subscription_id=name
                    )
                )
            case Cancel():
                await subscriptions.CancelSubscription(
                    subscription_service_pb2.CancelSubscriptionRequest(
                        request_id=new_id("req"), subscription_id=name, at_period_end=action.at_period_end
                    )
                )
            case Use():
                await self.stub(UsageServiceStub).ReportUsage(
                    usage_service_pb2.ReportUsageRequest(record=_record(account, action))
                )
            case Correct():
                await self._correct(account, action)
            case Grant():
                account.credits.append(await self._grant(account, action))
            case Redeem():
                await self._redeem(account, action)

    async def _correct(self, account: Account, action: Correct) -> None:
        terms: dict[str, Any] = {
            "request_id": new_id("req"),
            "idempotency_key": account.keys[action.record],
            "reason": "reported wrongly",
        }
        usage = self.stub(UsageServiceStub)
        if action.quantity:
            await usage.CorrectUsage(usage_service_pb2.CorrectUsageRequest(quantity=action.quantity, **terms))
        else:
            await usage.RetractUsage(usage_service_pb2.RetractUsageRequest(**terms))

    async def _grant(self, account: Account, action: Grant) -> str:
        request = credit_service_pb2.GrantCreditRequest(
            request_id=new_id("req"),
            customer_id=account.id,
            kind=enum_number(credit_pb2.CreditKind, action.kind),  # type: ignore[arg-type]
            amount_minor=action.amount_minor,
            valid_from=timestamp(action.valid_from),
            valid_until=timestamp(action.valid_until) if action.valid_until else None,
            priority=action.priority,
        )
        return str((await self.stub(CreditServiceStub).GrantCredit(request)).credit.id)

    async def _redeem(self, account: Account, action: Redeem) -> None:
        duration = {0: "forever", 1: "once"}.get(action.invoices, "repeating")
        coupon = discount_service_pb2.CreateCouponRequest(
            request_id=new_id("req"),
            code=new_id("C").replace("_", "-"),
            name="Coupon",
            kind=enum_number(  # type: ignore[arg-type]
                discount_pb2.DiscountKind, "percent" if action.percent else "fixed"
            ),
            percent=action.percent,
            amount_minor=action.amount_minor,
            currency="" if action.percent else account.currency,
            duration=enum_number(discount_pb2.DiscountDuration, duration),  # type: ignore[arg-type]
            duration_invoices=action.invoices if duration == "repeating" else 0,
            price_ids=[account.prices[price] for price in action.prices],
        )
        await self.stub(DiscountServiceStub).CreateCoupon(coupon)
        await self.stub(DiscountServiceStub).RedeemCoupon(
            discount_service_pb2.RedeemCouponRequest(
                request_id=new_id("req"), code=coupon.code, customer_id=account.id
            )
        )

    async def year_of(self, account: Account) -> Year:
        codes = {price_id: price.code for price, price_id in account.prices.items()}
        listed = await self.listed(
            InvoiceServiceStub,
            "ListInvoices",
            invoice_service_pb2.ListInvoicesRequest(customer_id=account.id, page_size=500),
            "invoices",
        )
        invoices = []
        for one in reversed(listed):
            get = invoice_service_pb2.GetInvoiceRequest(invoice_id=one.id)
            invoices.append((await self.stub(InvoiceServiceStub).GetInvoice(get)).invoice)
        granted = await self.listed(
            CreditServiceStub,
            "ListCredits",
            credit_service_pb2.ListCreditsRequest(customer_id=account.id, page_size=500),
            "credits",
        )
        left = {credit.id: credit.remaining_minor for credit in granted}
        return Year(
            answers=tuple(account.answers),
            invoices=tuple(_invoice(invoice, codes) for invoice in invoices),
            left_minor=tuple(left.pop(credit_id) for credit_id in account.credits),
            given_back_minor=sum(left.values()),
        )

    async def listed(self, stub_class: Any, method: str, request: Any, field_name: str) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        while True:
            answer = await getattr(self.stub(stub_class), method)(request)
            found += getattr(answer, field_name)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token


Check = Callable[[Shop, Mapping[str, Account]], Awaitable[None]]
"""Looks at a tenant, and at its customers by name."""


async def live(
    platform: Platform,
    seller: Seller,
    customers: Sequence[Customer],
    checks: Mapping[datetime, Check] | None = None,
) -> list[Year]:
    """What comes of customers of one seller. The seller's books balance in the end.

    Args:
        checks: Made at their times, after what is done then.
    """
    checks = checks or {}
    shop = Shop(platform, seller)
    await shop.open({price.tax_category for customer in customers for price in customer.prices})
    welcomed = await at_once(shop.welcome(customer) for customer in customers)
    accounts = {customer.name: account for customer, account in zip(customers, welcomed, strict=True)}
    wanted: dict[datetime, dict[str, list[Action]]] = {at: {} for at in checks}
    for customer in customers:
        for visit in customer.visits:
            wanted.setdefault(visit.at, {}).setdefault(customer.name, []).extend(visit.actions)
    for number, at in enumerate(sorted(wanted)):
        if number.bit_count() <= 1:  # Plans made for empty tables take minutes, and autovacuum comes late.
            await platform.rows("ANALYZE")
        await shop.wait_until(at)
        await shop.act([(accounts[name], actions) for name, actions in wanted[at].items()])
        await platform.drain()
        if at in checks:
            await checks[at](shop, accounts)
    await shop.wait_until(seller.ends)
    trial = await shop.stub(LedgerServiceStub).GetTrialBalance(ledger_service_pb2.GetTrialBalanceRequest())
    assert trial.balanced
    return await at_once(shop.year_of(account) for account in welcomed)


async def at_once(calls: Iterable[Awaitable[Result]]) -> list[Result]:
    """What calls of different customers answer, in their order; bounded."""
    free = asyncio.Semaphore(AT_ONCE)

    async def bounded(call: Awaitable[Result]) -> Result:
        async with free:
            return await call

    return await asyncio.gather(*(bounded(call) for call in calls))


def in_turns(actions: Sequence[Action]) -> list[list[Action]]:
    """One by one, but usage that follows usage with it: it is reported in a batch."""
    turns: list[list[Action]] = []
    for action in actions:
        if isinstance(action, Use) and turns and isinstance(turns[-1][-1], Use):
            turns[-1].append(action)
        else:
            turns.append([action])
    return turns


def _record(account: Account, use: Use) -> usage_pb2.UsageRecord:
    account.keys.append(new_id("key"))
    return usage_pb2.UsageRecord(
        idempotency_key=account.keys[-1],
        subscription_id=account.subscription_id,
        meter_code=use.meter,
        quantity=use.quantity,
        recorded_at=timestamp(use.at),
        properties={SUBJECT: use.subject} if use.subject else {},
    )


def _items(account: Account, items: Sequence[Item]) -> list[subscription_service_pb2.NewSubscriptionItem]:
    return [
        subscription_service_pb2.NewSubscriptionItem(
            price_id=account.prices[item.price], quantity=item.quantity
        )
        for item in items
    ]


def _invoice(invoice: invoice_pb2.Invoice, codes: dict[str, str]) -> Invoice:
    return Invoice(
        start=instant(invoice.period.start),
        end=instant(invoice.period.end),
        lines=tuple(
            Line(
                kind=invoice_pb2.InvoiceLineType.Name(line.type).removeprefix("INVOICE_LINE_TYPE_").lower(),
                price=codes[line.price_id],
                start=instant(line.period.start),
                end=instant(line.period.end),
                quantity=str(Fraction(line.quantity)),
                amount_minor=line.amount_minor,
                discount_minor=line.discount_minor,
                credit_minor=line.credit_minor,
                tax_minor=line.tax_minor,
            )
            for line in invoice.lines
        ),
        subtotal_minor=invoice.subtotal_minor,
        discount_minor=invoice.discount_minor,
        credit_minor=invoice.credit_minor,
        tax_minor=invoice.tax_minor,
        total_minor=invoice.total_minor,
        prepaid_minor=invoice.prepaid_minor,
        due_minor=invoice.amount_due_minor,
    )
