"""gRPC doors of quotas and entitlements."""

from billing.quota.v1 import entitlement_pb2 as pb
from billing.quota.v1 import entitlement_service_pb2 as entitlement_rpc
from billing.quota.v1 import quota_service_pb2 as rpc
from billing.quota.v1.entitlement_service_pb2_grpc import EntitlementServiceServicer
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceServicer

from corebilling.db.transaction import Transaction
from corebilling.domains.quota.entitlement import (
    Entitlement,
    Holder,
    Question,
    Reason,
    decide_entitlement,
    question_of,
)
from corebilling.domains.quota.entitlement_messages import entitlement_message
from corebilling.domains.quota.entitlement_service import EntitlementService
from corebilling.domains.quota.service import QuotaService
from corebilling.domains.quota.view import HolderView
from corebilling.errors import NotFound
from corebilling.rpc.door import Context, Door


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
        question = _question(request.question)
        holder = await self._holder(request.tenant_id, question, request)
        return entitlement_rpc.CheckEntitlementResponse(
            entitlement=entitlement_message(decide_entitlement(holder, question))
        )

    async def BatchCheckEntitlements(
        self, request: entitlement_rpc.BatchCheckEntitlementsRequest, context: Context
    ) -> entitlement_rpc.BatchCheckEntitlementsResponse:
        questions = [_question(one) for one in request.questions]
        answers = []
        for question in questions:
            try:
                holder = await self._holder(request.tenant_id, question, request)
            except NotFound:
                answers.append(Entitlement(Reason.HOLDER_NOT_FOUND))
            else:
                answers.append(decide_entitlement(holder, question))
        return entitlement_rpc.BatchCheckEntitlementsResponse(
            entitlements=(entitlement_message(answer) for answer in answers)
        )

    async def _holder(
        self,
        tenant_id: str,
        question: Question,
        request: entitlement_rpc.CheckEntitlementRequest | entitlement_rpc.BatchCheckEntitlementsRequest,
    ) -> Holder:
        known = self._view.known(tenant_id, question.holder_id)
        if known is not None:
            return known

        async def load(tx: Transaction, _: object) -> Holder:
            return await self._entitlements.load_holder(tx, question)

        return await self._view.find(tenant_id, question.holder_id, lambda: self._door.read(request, load))


def _question(asked: pb.EntitlementQuestion) -> Question:
    return question_of(
        asked.customer_id, asked.subscription_id, asked.feature_code, asked.meter_code, asked.quantity
    )
