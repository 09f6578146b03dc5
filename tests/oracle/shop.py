"""A tenant on the platform, what it sells, and its customers as the platform knows them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.tax.v1 import tax_pb2, tax_service_pb2
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceStub
from billing.tenant.v1 import tenant_pb2, tenant_service_pb2
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub
from billing.types.v1 import period_pb2

from corebilling.mapping import enum_number, timestamp
from corebilling.values.ids import new_id
from tests.oracle.world import (
    COUNTED,
    METERS,
    Customer,
    Price,
    Seller,
)
from tests.support.platform import Platform


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
                unique_property=COUNTED if terms.aggregation == "unique" else "",
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
            one_time=price.one_time,
            interval_unit=enum_number(  # type: ignore[arg-type]
                period_pb2.IntervalUnit, "unspecified" if price.one_time else unit
            ),
            interval_count=0 if price.one_time else count,
            unit_amount=price.unit_amount,
            unit_size=price.unit_size,
            tiers=[catalog_pb2.PriceTier(**vars(tier)) for tier in price.tiers],
            included_quantity=price.included_quantity,
            minimum_amount=price.minimum_amount,
            maximum_amount=price.maximum_amount,
            no_flat_amount_when_unused=price.no_flat_amount_when_unused,
        )
        _set_terms_by_record(request, price)
        return str((await self.stub(CatalogServiceStub).CreatePrice(request)).price.id)

    async def listed(self, stub_class: Any, method: str, request: Any, field_name: str) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        while True:
            answer = await getattr(self.stub(stub_class), method)(request)
            found += getattr(answer, field_name)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token


def _set_terms_by_record(request: catalog_service_pb2.CreatePriceRequest, price: Price) -> None:
    if price.percentage:
        request.percentage.CopyFrom(catalog_pb2.PricePercentage(**vars(price.percentage)))
    if price.matrix:
        request.dimensions.extend(price.matrix.dimensions)
        request.default_unit_amount = price.matrix.default_unit_amount
        for values, unit_amount in price.matrix.cells:
            request.cells.add(values=values, unit_amount=unit_amount)
