"""gRPC door of subscriptions."""

from billing.subscription.v1 import subscription_service_pb2 as rpc
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceServicer

from corebilling.domains.subscription.service import SubscriptionService
from corebilling.rpc.door import Context, Door


class SubscriptionServicer(SubscriptionServiceServicer):
    def __init__(self, door: Door, subscriptions: SubscriptionService) -> None:
        self._door = door
        self._subscriptions = subscriptions

    async def CreateSubscription(
        self, request: rpc.CreateSubscriptionRequest, context: Context
    ) -> rpc.CreateSubscriptionResponse:
        return await self._door.write(request, self._subscriptions.create_subscription)

    async def GetSubscription(
        self, request: rpc.GetSubscriptionRequest, context: Context
    ) -> rpc.GetSubscriptionResponse:
        return await self._door.read(request, self._subscriptions.get_subscription)

    async def ListSubscriptions(
        self, request: rpc.ListSubscriptionsRequest, context: Context
    ) -> rpc.ListSubscriptionsResponse:
        return await self._door.read(request, self._subscriptions.list_subscriptions)

    async def ChangeSubscription(
        self, request: rpc.ChangeSubscriptionRequest, context: Context
    ) -> rpc.ChangeSubscriptionResponse:
        return await self._door.write(request, self._subscriptions.change_subscription)

    async def SetSpendThresholds(
        self, request: rpc.SetSpendThresholdsRequest, context: Context
    ) -> rpc.SetSpendThresholdsResponse:
        return await self._door.write(request, self._subscriptions.set_spend_thresholds)

    async def PauseSubscription(
        self, request: rpc.PauseSubscriptionRequest, context: Context
    ) -> rpc.PauseSubscriptionResponse:
        return await self._door.write(request, self._subscriptions.pause_subscription)

    async def ResumeSubscription(
        self, request: rpc.ResumeSubscriptionRequest, context: Context
    ) -> rpc.ResumeSubscriptionResponse:
        return await self._door.write(request, self._subscriptions.resume_subscription)

    async def CancelSubscription(
        self, request: rpc.CancelSubscriptionRequest, context: Context
    ) -> rpc.CancelSubscriptionResponse:
        return await self._door.write(request, self._subscriptions.cancel_subscription)
