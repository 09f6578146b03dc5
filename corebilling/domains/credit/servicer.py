"""gRPC door of credits."""

from billing.credit.v1 import credit_service_pb2 as rpc
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceServicer

from corebilling.domains.credit.service import CreditService
from corebilling.rpc.door import Context, Door


class CreditServicer(CreditServiceServicer):
    def __init__(self, door: Door, credit_service: CreditService) -> None:
        self._door = door
        self._credits = credit_service

    async def GrantCredit(self, request: rpc.GrantCreditRequest, context: Context) -> rpc.GrantCreditResponse:
        return await self._door.write(request, self._credits.grant_credit)

    async def GetCredit(self, request: rpc.GetCreditRequest, context: Context) -> rpc.GetCreditResponse:
        return await self._door.read(request, self._credits.get_credit)

    async def ListCredits(self, request: rpc.ListCreditsRequest, context: Context) -> rpc.ListCreditsResponse:
        return await self._door.read(request, self._credits.list_credits)

    async def VoidCredit(self, request: rpc.VoidCreditRequest, context: Context) -> rpc.VoidCreditResponse:
        return await self._door.write(request, self._credits.void_credit)

    async def GetCreditBalance(
        self, request: rpc.GetCreditBalanceRequest, context: Context
    ) -> rpc.GetCreditBalanceResponse:
        return await self._door.read(request, self._credits.get_credit_balance)
