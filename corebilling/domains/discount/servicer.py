"""gRPC door of discounts."""

from billing.discount.v1 import discount_service_pb2 as rpc
from billing.discount.v1.discount_service_pb2_grpc import DiscountServiceServicer

from corebilling.domains.discount.service import DiscountService
from corebilling.rpc.door import Context, Door


class DiscountServicer(DiscountServiceServicer):
    def __init__(self, door: Door, discounts: DiscountService) -> None:
        self._door = door
        self._discounts = discounts

    async def CreateCoupon(
        self, request: rpc.CreateCouponRequest, context: Context
    ) -> rpc.CreateCouponResponse:
        return await self._door.write(request, self._discounts.create_coupon)

    async def GetCoupon(self, request: rpc.GetCouponRequest, context: Context) -> rpc.GetCouponResponse:
        return await self._door.read(request, self._discounts.get_coupon)

    async def ListCoupons(self, request: rpc.ListCouponsRequest, context: Context) -> rpc.ListCouponsResponse:
        return await self._door.read(request, self._discounts.list_coupons)

    async def ArchiveCoupon(
        self, request: rpc.ArchiveCouponRequest, context: Context
    ) -> rpc.ArchiveCouponResponse:
        return await self._door.write(request, self._discounts.archive_coupon)

    async def RedeemCoupon(
        self, request: rpc.RedeemCouponRequest, context: Context
    ) -> rpc.RedeemCouponResponse:
        return await self._door.write(request, self._discounts.redeem_coupon)

    async def EndDiscount(self, request: rpc.EndDiscountRequest, context: Context) -> rpc.EndDiscountResponse:
        return await self._door.write(request, self._discounts.end_discount)

    async def ListDiscounts(
        self, request: rpc.ListDiscountsRequest, context: Context
    ) -> rpc.ListDiscountsResponse:
        return await self._door.read(request, self._discounts.list_discounts)
