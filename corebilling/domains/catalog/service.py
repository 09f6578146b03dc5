"""Use cases of the catalog: products, meters, prices and plans."""

from collections.abc import Iterable

from billing.catalog.v1 import catalog_events_pb2 as events
from billing.catalog.v1 import catalog_pb2 as pb
from billing.catalog.v1 import catalog_service_pb2 as rpc
from billing.types.v1 import period_pb2
from billing_db import catalog as catalog_sql
from billing_db.models import Plan, PlanItem
from google.protobuf.message import Message

from corebilling.db.failure import refuse_on
from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.catalog.amounts import tier_object
from corebilling.domains.catalog.limits import check_price_amounts, max_quantity
from corebilling.domains.catalog.meter_model import check_meter_terms
from corebilling.domains.catalog.model import PlanStatus, PriceTerms, check_price_meter, check_price_terms
from corebilling.domains.catalog.rows import (
    find_meter,
    find_plan,
    find_price,
    find_product,
    find_visible_plan,
    price_message,
)
from corebilling.domains.catalog.terms import (
    checked_options,
    meter_terms,
    option_object,
    percentage_object,
    price_terms,
    transform_object,
)
from corebilling.errors import AlreadyExists
from corebilling.events import outbox
from corebilling.mapping import decimal_text, enum_text, to_message
from corebilling.values.currency import check_currency
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit


class CatalogService:
    """What a tenant sells. Catalog entries are created and read; only plans change."""

    async def create_product(
        self, tx: Transaction, request: rpc.CreateProductRequest
    ) -> rpc.CreateProductResponse:
        with refuse_on({"products_code_taken": _code_taken(request.code)}):
            product = await catalog_sql.insert_product(
                tx,
                tenant_id=tx.tenant_id,
                id=new_id("prd"),
                code=request.code,
                name=request.name,
                tax_category=request.tax_category,
                created_at=tx.now,
            )
        _announce(tx, product.id, events.ProductCreated(product_id=product.id, code=product.code))
        return rpc.CreateProductResponse(product=to_message(product, pb.Product))

    async def get_product(self, tx: Transaction, request: rpc.GetProductRequest) -> rpc.GetProductResponse:
        product = await find_product(tx, request.product_id)
        return rpc.GetProductResponse(product=to_message(product, pb.Product))

    async def list_products(
        self, tx: Transaction, request: rpc.ListProductsRequest
    ) -> rpc.ListProductsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await catalog_sql.list_products(
            tx, tenant_id=tx.tenant_id, code=request.code, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListProductsResponse(
            products=(to_message(row, pb.Product) for row in page), next_page_token=token
        )

    async def create_meter(self, tx: Transaction, request: rpc.CreateMeterRequest) -> rpc.CreateMeterResponse:
        check_meter_terms(meter_terms(request))
        with refuse_on({"meters_code_taken": _code_taken(request.code)}):
            meter = await catalog_sql.insert_meter(
                tx,
                tenant_id=tx.tenant_id,
                id=new_id("mtr"),
                code=request.code,
                name=request.name,
                aggregation=enum_text(pb.Aggregation, request.aggregation),
                unit=request.unit,
                filters=[
                    {"property": one.property, "values": list(dict.fromkeys(one.values))}
                    for one in request.filters
                ],
                transform=transform_object(request.transform) if request.HasField("transform") else None,
                unique_property=request.unique_property,
                created_at=tx.now,
            )
        created = events.MeterCreated(meter_id=meter.id, code=meter.code, aggregation=request.aggregation)
        _announce(tx, meter.id, created)
        return rpc.CreateMeterResponse(meter=to_message(meter, pb.Meter))

    async def get_meter(self, tx: Transaction, request: rpc.GetMeterRequest) -> rpc.GetMeterResponse:
        meter = await find_meter(tx, request.meter_id)
        return rpc.GetMeterResponse(meter=to_message(meter, pb.Meter))

    async def list_meters(self, tx: Transaction, request: rpc.ListMetersRequest) -> rpc.ListMetersResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await catalog_sql.list_meters(
            tx, tenant_id=tx.tenant_id, code=request.code, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListMetersResponse(
            meters=(to_message(row, pb.Meter) for row in page), next_page_token=token
        )

    async def create_price(self, tx: Transaction, request: rpc.CreatePriceRequest) -> rpc.CreatePriceResponse:
        terms = price_terms(request)
        check_price_terms(terms)
        tenant = await tenant_profile(tx)
        currency = check_currency(request.currency or tenant.default_currency)
        check_price_amounts(terms, currency)
        options = checked_options(request, terms, currency)
        # Versions of one code are counted one after the other.
        await tx.lock(f"price:{request.code}")
        await self._check_references(tx, request, terms)
        last_version = await catalog_sql.get_last_price_version(tx, tenant_id=tx.tenant_id, code=request.code)
        price = await catalog_sql.insert_price(
            tx,
            tenant_id=tx.tenant_id,
            id=new_id("pri"),
            product_id=request.product_id,
            code=request.code,
            price_version=last_version + 1,
            currency=currency,
            model=terms.model,
            usage=terms.usage,
            meter_id=terms.meter_id,
            one_time=terms.one_time,
            interval_unit=enum_text(period_pb2.IntervalUnit, request.interval_unit)
            if terms.has_interval
            else None,
            interval_count=(request.interval_count or 1) if terms.has_interval else None,
            unit_amount=terms.unit_amount,
            unit_size=terms.unit_size,
            tiers=[tier_object(tier) for tier in terms.tiers],
            included_quantity=terms.included_quantity,
            minimum_amount=terms.minimum_amount,
            maximum_amount=terms.maximum_amount,
            no_flat_amount_when_unused=terms.no_flat_amount_when_unused,
            dimensions=list(terms.dimensions),
            cells=[
                {"values": list(cell.values), "unit_amount": decimal_text(cell.unit_amount)}
                for cell in terms.cells
            ],
            default_unit_amount=terms.default_unit_amount,
            percentage=None if terms.percentage is None else percentage_object(terms.percentage),
            max_quantity=max_quantity(terms, currency),
            currency_options=[option_object(option, terms) for option in options],
            description=request.description or request.code,
            created_at=tx.now,
        )
        created = events.PriceCreated(
            price_id=price.id,
            code=price.code,
            price_version=price.price_version,
            model=request.model,
            currency=price.currency,
            other_currencies=[option.currency for option in options],
        )
        _announce(tx, price.id, created)
        return rpc.CreatePriceResponse(price=price_message(price))

    async def get_price(self, tx: Transaction, request: rpc.GetPriceRequest) -> rpc.GetPriceResponse:
        price = await find_price(tx, request.price_id)
        return rpc.GetPriceResponse(price=price_message(price))

    async def list_prices(self, tx: Transaction, request: rpc.ListPricesRequest) -> rpc.ListPricesResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await catalog_sql.list_prices(
            tx, tenant_id=tx.tenant_id, code=request.code, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListPricesResponse(prices=map(price_message, page), next_page_token=token)

    async def create_plan(self, tx: Transaction, request: rpc.CreatePlanRequest) -> rpc.CreatePlanResponse:
        await self._check_prices(tx, {item.price_id for item in request.items})
        with refuse_on({"plans_code_taken": _code_taken(request.code)}):
            plan = await catalog_sql.insert_plan(
                tx,
                tenant_id=tx.tenant_id,
                id=new_id("pln"),
                code=request.code,
                name=request.name,
                offered=request.offered,
                created_at=tx.now,
            )
        await catalog_sql.insert_plan_items(
            tx,
            tenant_id=tx.tenant_id,
            plan_id=plan.id,
            positions=list(range(1, len(request.items) + 1)),
            price_ids=[item.price_id for item in request.items],
            quantities=[item.quantity for item in request.items],
        )
        _announce(tx, plan.id, events.PlanCreated(plan_id=plan.id, code=plan.code))
        return rpc.CreatePlanResponse(plan=to_message(plan, pb.Plan, items=request.items))

    async def get_plan(self, tx: Transaction, request: rpc.GetPlanRequest) -> rpc.GetPlanResponse:
        plan = await find_visible_plan(tx, request.plan_id)
        (message,) = await self._plan_messages(tx, [plan])
        return rpc.GetPlanResponse(plan=message)

    async def list_plans(self, tx: Transaction, request: rpc.ListPlansRequest) -> rpc.ListPlansResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        if tx.caller.account is None:
            rows = await catalog_sql.list_plans(
                tx, tenant_id=tx.tenant_id, code=request.code, after=after, limit_rows=limit + 1
            )
        else:
            rows = await catalog_sql.list_plans_of_account(
                tx,
                tenant_id=tx.tenant_id,
                id="",
                code=request.code,
                after=after,
                account=tx.caller.account,
                limit_rows=limit + 1,
            )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListPlansResponse(plans=await self._plan_messages(tx, page), next_page_token=token)

    async def set_plan_offered(
        self, tx: Transaction, request: rpc.SetPlanOfferedRequest
    ) -> rpc.SetPlanOfferedResponse:
        await tx.lock(request.plan_id)
        plan = await find_plan(tx, request.plan_id)
        if plan.offered != request.offered:
            changed = await catalog_sql.mark_plan_offered(
                tx, tenant_id=tx.tenant_id, id=plan.id, offered=request.offered
            )
            assert changed is not None, "the lock keeps the plan"
            plan = changed
            updated = events.PlanUpdated(plan_id=plan.id, changed_fields=["offered"])
            _announce(tx, plan.id, updated, version=plan.version)
        (message,) = await self._plan_messages(tx, [plan])
        return rpc.SetPlanOfferedResponse(plan=message)

    async def deprecate_plan(
        self, tx: Transaction, request: rpc.DeprecatePlanRequest
    ) -> rpc.DeprecatePlanResponse:
        await tx.lock(request.plan_id)
        plan = await find_plan(tx, request.plan_id)
        if plan.status == PlanStatus.ACTIVE:
            deprecated = await catalog_sql.mark_plan_deprecated(tx, tenant_id=tx.tenant_id, id=plan.id)
            assert deprecated is not None, "the lock keeps the plan"
            plan = deprecated
            _announce(tx, plan.id, events.PlanDeprecated(plan_id=plan.id), version=plan.version)
        (message,) = await self._plan_messages(tx, [plan])
        return rpc.DeprecatePlanResponse(plan=message)

    async def _plan_messages(self, tx: Transaction, plans: Iterable[Plan]) -> list[pb.Plan]:
        plans = list(plans)
        items = await catalog_sql.list_plan_items(
            tx, tenant_id=tx.tenant_id, plan_ids=[plan.id for plan in plans]
        )
        return [
            to_message(plan, pb.Plan, items=[_plan_item(item) for item in items if item.plan_id == plan.id])
            for plan in plans
        ]

    async def _check_references(
        self, tx: Transaction, request: rpc.CreatePriceRequest, terms: PriceTerms
    ) -> None:
        """The product and the meter are the tenant's own, and the meter measures what the price asks for."""
        await find_product(tx, request.product_id)
        if request.meter_id:
            meter = await find_meter(tx, request.meter_id)
            check_price_meter(terms, meter.aggregation, transforms=meter.transform is not None)

    async def _check_prices(self, tx: Transaction, price_ids: set[str]) -> None:
        for price_id in sorted(price_ids):
            await find_price(tx, price_id)


def _plan_item(item: PlanItem) -> pb.PlanItem:
    return to_message(item, pb.PlanItem)


def _announce(tx: Transaction, resource_id: str, payload: Message, *, version: int = 1) -> None:
    outbox.append(tx, payload, resource_id=resource_id, resource_version=version, ordering_key=resource_id)


def _code_taken(code: str) -> AlreadyExists:
    return AlreadyExists("CODE_TAKEN", f"The code '{code}' is taken; choose another.", {"code": code})
