"""gRPC door of catalog."""

from billing.catalog.v1 import catalog_service_pb2 as rpc
from billing.catalog.v1 import price_override_service_pb2 as override_rpc
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceServicer
from billing.catalog.v1.price_override_service_pb2_grpc import PriceOverrideServiceServicer

from corebilling.domains.catalog.override_service import PriceOverrideService
from corebilling.domains.catalog.service import CatalogService
from corebilling.rpc.door import Context, Door


class CatalogServicer(CatalogServiceServicer):
    def __init__(self, door: Door, catalog: CatalogService) -> None:
        self._door = door
        self._catalog = catalog

    async def CreateProduct(
        self, request: rpc.CreateProductRequest, context: Context
    ) -> rpc.CreateProductResponse:
        return await self._door.write(request, self._catalog.create_product)

    async def GetProduct(self, request: rpc.GetProductRequest, context: Context) -> rpc.GetProductResponse:
        return await self._door.read(request, self._catalog.get_product)

    async def ListProducts(
        self, request: rpc.ListProductsRequest, context: Context
    ) -> rpc.ListProductsResponse:
        return await self._door.read(request, self._catalog.list_products)

    async def CreateMeter(self, request: rpc.CreateMeterRequest, context: Context) -> rpc.CreateMeterResponse:
        return await self._door.write(request, self._catalog.create_meter)

    async def GetMeter(self, request: rpc.GetMeterRequest, context: Context) -> rpc.GetMeterResponse:
        return await self._door.read(request, self._catalog.get_meter)

    async def ListMeters(self, request: rpc.ListMetersRequest, context: Context) -> rpc.ListMetersResponse:
        return await self._door.read(request, self._catalog.list_meters)

    async def CreatePrice(self, request: rpc.CreatePriceRequest, context: Context) -> rpc.CreatePriceResponse:
        return await self._door.write(request, self._catalog.create_price)

    async def GetPrice(self, request: rpc.GetPriceRequest, context: Context) -> rpc.GetPriceResponse:
        return await self._door.read(request, self._catalog.get_price)

    async def ListPrices(self, request: rpc.ListPricesRequest, context: Context) -> rpc.ListPricesResponse:
        return await self._door.read(request, self._catalog.list_prices)

    async def CreatePlan(self, request: rpc.CreatePlanRequest, context: Context) -> rpc.CreatePlanResponse:
        return await self._door.write(request, self._catalog.create_plan)

    async def GetPlan(self, request: rpc.GetPlanRequest, context: Context) -> rpc.GetPlanResponse:
        return await self._door.read(request, self._catalog.get_plan)

    async def ListPlans(self, request: rpc.ListPlansRequest, context: Context) -> rpc.ListPlansResponse:
        return await self._door.read(request, self._catalog.list_plans)

    async def SetPlanOffered(
        self, request: rpc.SetPlanOfferedRequest, context: Context
    ) -> rpc.SetPlanOfferedResponse:
        return await self._door.write(request, self._catalog.set_plan_offered)

    async def DeprecatePlan(
        self, request: rpc.DeprecatePlanRequest, context: Context
    ) -> rpc.DeprecatePlanResponse:
        return await self._door.write(request, self._catalog.deprecate_plan)


class PriceOverrideServicer(PriceOverrideServiceServicer):
    def __init__(self, door: Door, overrides: PriceOverrideService) -> None:
        self._door = door
        self._overrides = overrides

    async def SetPriceOverride(
        self, request: override_rpc.SetPriceOverrideRequest, context: Context
    ) -> override_rpc.SetPriceOverrideResponse:
        return await self._door.write(request, self._overrides.set_price_override)

    async def GetPriceOverride(
        self, request: override_rpc.GetPriceOverrideRequest, context: Context
    ) -> override_rpc.GetPriceOverrideResponse:
        return await self._door.read(request, self._overrides.get_price_override)

    async def ListPriceOverrides(
        self, request: override_rpc.ListPriceOverridesRequest, context: Context
    ) -> override_rpc.ListPriceOverridesResponse:
        return await self._door.read(request, self._overrides.list_price_overrides)

    async def EndPriceOverride(
        self, request: override_rpc.EndPriceOverrideRequest, context: Context
    ) -> override_rpc.EndPriceOverrideResponse:
        return await self._door.write(request, self._overrides.end_price_override)
