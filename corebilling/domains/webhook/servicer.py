"""gRPC door of webhooks."""

from billing.webhook.v1 import webhook_service_pb2 as rpc
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceServicer

from corebilling.domains.webhook.service import WebhookService
from corebilling.rpc.door import Context, Door


class WebhookServicer(WebhookServiceServicer):
    def __init__(self, door: Door, webhooks: WebhookService) -> None:
        self._door = door
        self._webhooks = webhooks

    async def CreateWebhook(
        self, request: rpc.CreateWebhookRequest, context: Context
    ) -> rpc.CreateWebhookResponse:
        return await self._door.write(request, self._webhooks.create_webhook)

    async def GetWebhook(self, request: rpc.GetWebhookRequest, context: Context) -> rpc.GetWebhookResponse:
        return await self._door.read(request, self._webhooks.get_webhook)

    async def ListWebhooks(
        self, request: rpc.ListWebhooksRequest, context: Context
    ) -> rpc.ListWebhooksResponse:
        return await self._door.read(request, self._webhooks.list_webhooks)

    async def UpdateWebhook(
        self, request: rpc.UpdateWebhookRequest, context: Context
    ) -> rpc.UpdateWebhookResponse:
        return await self._door.write(request, self._webhooks.update_webhook)

    async def DeleteWebhook(
        self, request: rpc.DeleteWebhookRequest, context: Context
    ) -> rpc.DeleteWebhookResponse:
        return await self._door.write(request, self._webhooks.delete_webhook)

    async def ListWebhookDeliveries(
        self, request: rpc.ListWebhookDeliveriesRequest, context: Context
    ) -> rpc.ListWebhookDeliveriesResponse:
        return await self._door.read(request, self._webhooks.list_webhook_deliveries)

    async def ListWebhookDeliveryAttempts(
        self, request: rpc.ListWebhookDeliveryAttemptsRequest, context: Context
    ) -> rpc.ListWebhookDeliveryAttemptsResponse:
        return await self._door.read(request, self._webhooks.list_webhook_delivery_attempts)

    async def RedeliverWebhook(
        self, request: rpc.RedeliverWebhookRequest, context: Context
    ) -> rpc.RedeliverWebhookResponse:
        return await self._door.write(request, self._webhooks.redeliver_webhook)
