"""`corebilling catalog`: brings plans into a tenant's catalog."""

from billing.catalog.v1 import catalog_pb2 as pb
from billing.catalog.v1 import catalog_service_pb2 as rpc
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.quota.v1 import quota_pb2, quota_service_pb2
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceStub
from rich.table import Table

from corebilling.client import Client
from corebilling.commands.connection import TARGET, ApiKey, Target, Tenant, console, run
from corebilling.commands.tls import ClientApp
from corebilling.domains.catalog.defaults import METERS, PLANS, PRODUCT, DefaultPlan, DefaultPrice
from corebilling.values.ids import new_id

catalog_app = ClientApp(no_args_is_help=True, help="Products, meters, prices and plans.")


@catalog_app.command("import-defaults")
def import_defaults(target: Target = TARGET, api_key: ApiKey = "", tenant: Tenant = "") -> None:
    """Creates the default meters and plans; what exists already stays as it is."""
    added = run(target, api_key, lambda client: Importer(client, tenant).run())
    table = Table("plan", "what was done")
    for plan in PLANS:
        table.add_row(plan.name, "created" if plan.code in added else "was there already")
    console.print(table)
    console.print("Next: corebilling call billing.catalog.v1.CatalogService/ListPlans")


class Importer:
    """Creates what is missing, one catalog entry after the other, each found by its code."""

    def __init__(self, client: Client, tenant_id: str) -> None:
        self._catalog = client.stub(CatalogServiceStub)
        self._quotas = client.stub(QuotaServiceStub)
        self._tenant_id = tenant_id

    async def run(self) -> set[str]:
        """Returns the codes of the plans it created."""
        product_id = await self._product()
        meters = {meter[0]: await self._meter(*meter) for meter in METERS}
        return {plan.code for plan in PLANS if await self._plan(plan, product_id, meters)}

    async def _product(self) -> str:
        code, name = PRODUCT
        found = await self._catalog.ListProducts(
            rpc.ListProductsRequest(tenant_id=self._tenant_id, code=code)
        )
        if found.products:
            return found.products[0].id
        request = rpc.CreateProductRequest(
            tenant_id=self._tenant_id, request_id=new_id("req"), code=code, name=name
        )
        return (await self._catalog.CreateProduct(request)).product.id

    async def _meter(self, code: str, name: str, aggregation: pb.Aggregation, unit: str) -> str:
        found = await self._catalog.ListMeters(rpc.ListMetersRequest(tenant_id=self._tenant_id, code=code))
        if found.meters:
            return found.meters[0].id
        request = rpc.CreateMeterRequest(
            tenant_id=self._tenant_id,
            request_id=new_id("req"),
            code=code,
            name=name,
            aggregation=aggregation,
            unit=unit,
        )
        return (await self._catalog.CreateMeter(request)).meter.id

    async def _plan(self, plan: DefaultPlan, product_id: str, meters: dict[str, str]) -> bool:
        found = await self._catalog.ListPlans(rpc.ListPlansRequest(tenant_id=self._tenant_id, code=plan.code))
        if found.plans:
            # A run that ended early may have left the plan without its limit.
            await self._limit_adapters(found.plans[0].id, plan.adapters)
            return False
        items = [
            pb.PlanItem(price_id=await self._price(plan, price, product_id, meters), quantity=price.quantity)
            for price in plan.prices
        ]
        request = rpc.CreatePlanRequest(
            tenant_id=self._tenant_id, request_id=new_id("req"), code=plan.code, name=plan.name, items=items
        )
        created = await self._catalog.CreatePlan(request)
        await self._limit_adapters(created.plan.id, plan.adapters)
        return True

    async def _limit_adapters(self, plan_id: str, limit: str) -> None:
        """Each subscription to the plan may have so many; more are refused. A limit it has stays as it is."""
        if not limit:
            return
        found = await self._quotas.ListQuotas(
            quota_service_pb2.ListQuotasRequest(tenant_id=self._tenant_id, subject_id=plan_id)
        )
        if any(quota.meter_code == "adapters_active" for quota in found.quotas):
            return
        await self._quotas.SetQuota(
            quota_service_pb2.SetQuotaRequest(
                tenant_id=self._tenant_id,
                request_id=new_id("req"),
                scope=quota_pb2.QUOTA_SCOPE_PLAN,
                subject_id=plan_id,
                meter_code="adapters_active",
                period=quota_pb2.QUOTA_PERIOD_BILLING_PERIOD,
                limit_quantity=limit,
                enforcement=quota_pb2.QUOTA_ENFORCEMENT_HARD,
            )
        )

    async def _price(
        self, plan: DefaultPlan, price: DefaultPrice, product_id: str, meters: dict[str, str]
    ) -> str:
        code = f"{plan.code}-{price.code}"
        found = await self._catalog.ListPrices(rpc.ListPricesRequest(tenant_id=self._tenant_id, code=code))
        if found.prices:
            return found.prices[0].id
        request = rpc.CreatePriceRequest(
            tenant_id=self._tenant_id,
            request_id=new_id("req"),
            product_id=product_id,
            code=code,
            currency="USD",
            model=price.model,
            usage=pb.PRICE_USAGE_METERED if price.meter else pb.PRICE_USAGE_LICENSED,
            meter_id=meters[price.meter] if price.meter else "",
            interval_unit=plan.interval_unit,
            unit_amount=price.unit_amount,
            unit_size=price.unit_size,
            tiers=price.tiers,
            description=price.description,
        )
        return (await self._catalog.CreatePrice(request)).price.id
