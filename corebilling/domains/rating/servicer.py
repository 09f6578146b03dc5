"""gRPC door of rating."""

from billing.rating.v1 import rating_service_pb2 as rpc
from billing.rating.v1.rating_service_pb2_grpc import RatingServiceServicer

from corebilling.domains.rating.service import RatingService
from corebilling.rpc.door import Context, Door


class RatingServicer(RatingServiceServicer):
    def __init__(self, door: Door, rating: RatingService) -> None:
        self._door = door
        self._rating = rating

    async def ListCharges(self, request: rpc.ListChargesRequest, context: Context) -> rpc.ListChargesResponse:
        return await self._door.read(request, self._rating.list_charges)

    async def PreviewPrice(
        self, request: rpc.PreviewPriceRequest, context: Context
    ) -> rpc.PreviewPriceResponse:
        return await self._door.read(request, self._rating.preview_price)
