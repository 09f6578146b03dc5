"""gRPC doors of quotas and entitlements."""

from billing.quota.v1 import entitlement_pb2 as pb
from billing.quota.v1 import entitlement_service_pb2 as entitlement_rpc
from billing.quota.v1 import quota_service_pb2 as rpc
from billing.quota.v1.entitlement_service_pb2_grpc import EntitlementServiceServicer
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceServicer

from corebilling.db.transaction import Transaction
from corebilling.domains.quota.answers import NOBODY, Answers, read_question
from corebilling.domains.quota.entitlement import Holder
from corebilling.domains.quota.entitlement_service import EntitlementService
from corebilling.domains.quota.service import QuotaService
from corebilling.domains.quota.view import HolderView
from corebilling.errors import NotFound
from corebilling.rpc.door import Context, Door

Check = entitlement_rpc.CheckEntitlementRequest | entitlement_rpc.BatchCheckEntitlementsRequest


class QuotaServicer(QuotaServiceServicer):
    def __init__(self, door: Door, quotas: QuotaService) -> None:
        self._door = door
        self._quotas = quotas

    async def SetQuota(self, request: rpc.SetQuotaRequest, context: Context) -> rpc.SetQuotaResponse:
        return await self._door.write(request, self._quotas.set_quota)

    async def GetQuota(self, request: rpc.GetQuotaRequest, context: Context) -> rpc.GetQuotaResponse:
        return await self._door.read(request, self._quotas.get_quota)

    async def ListQuotas(self, request: rpc.ListQuotasRequest, context: Context) -> rpc.ListQuotasResponse:
        return await self._door.read(request, self._quotas.list_quotas)

    async def RemoveQuota(self, request: rpc.RemoveQuotaRequest, context: Context) -> rpc.RemoveQuotaResponse:
        return await self._door.write(request, self._quotas.remove_quota)


class EntitlementServicer(EntitlementServiceServicer):
    """Answers from the view; a holder that is not known there is loaded in a transaction."""

    def __init__(self, door: Door, entitlements: EntitlementService, view: HolderView) -> None:
        self._door = door
        self._entitlements = entitlements
        self._view = view

    async def SetFeature(
        self, request: entitlement_rpc.SetFeatureRequest, context: Context
    ) -> entitlement_rpc.SetFeatureResponse:
        return await self._door.write(request, self._entitlements.set_feature)

    async def ListFeatures(
        self, request: entitlement_rpc.ListFeaturesRequest, context: Context
    ) -> entitlement_rpc.ListFeaturesResponse:
        return await self._door.read(request, self._entitlements.list_features)

    async def RemoveFeature(
        self, request: entitlement_rpc.RemoveFeatureRequest, context: Context
    ) -> entitlement_rpc.RemoveFeatureResponse:
        return await self._door.write(request, self._entitlements.remove_feature)

    async def CheckEntitlement(
        self, request: entitlement_rpc.CheckEntitlementRequest, context: Context
    ) -> entitlement_rpc.CheckEntitlementResponse:
        asked = request.question
        return (await self._answers(request, asked)).to(asked)

    async def BatchCheckEntitlements(
        self, request: entitlement_rpc.BatchCheckEntitlementsRequest, context: Context
    ) -> entitlement_rpc.BatchCheckEntitlementsResponse:
        for question in request.questions:
            read_question(question)
        return entitlement_rpc.BatchCheckEntitlementsResponse(
            entitlements=[await self._answer(request, question) for question in request.questions]
        )

    async def _answer(
        self, request: entitlement_rpc.BatchCheckEntitlementsRequest, asked: pb.EntitlementQuestion
    ) -> pb.Entitlement:
        try:
            return (await self._answers(request, asked)).to(asked).entitlement
        except NotFound:
            return NOBODY

    async def _answers(self, request: Check, asked: pb.EntitlementQuestion) -> Answers:
        key = (request.tenant_id, asked.customer_id, asked.subscription_id)
        known = self._view.known(key)
        if known is not None:
            return known
        question = read_question(asked)

        async def load(tx: Transaction, _: Check) -> Holder:
            return await self._entitlements.load_holder(tx, question)

        return await self._view.find(key, lambda: self._door.read(request, load))
