"""gRPC door of webhooks."""

from billing.webhook.v1 import webhook_service_pb2 as rpc
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceServicer

from corebilling.domains.webhook.delivery_service import WebhookDeliveryService
from corebilling.domains.webhook.service import WebhookService
from corebilling.rpc.door import Context, Door


class WebhookServicer(WebhookServiceServicer):
    def __init__(self, door: Door, webhooks: WebhookService, deliveries: WebhookDeliveryService) -> None:
        self._door = door
        self._webhooks = webhooks
        self._deliveries = deliveries

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
        return await self._door.read(request, self._deliveries.list_webhook_deliveries)

    async def ListWebhookDeliveryAttempts(
        self, request: rpc.ListWebhookDeliveryAttemptsRequest, context: Context
    ) -> rpc.ListWebhookDeliveryAttemptsResponse:
        return await self._door.read(request, self._deliveries.list_webhook_delivery_attempts)

    async def RedeliverWebhook(
        self, request: rpc.RedeliverWebhookRequest, context: Context
    ) -> rpc.RedeliverWebhookResponse:
        return await self._door.write(request, self._deliveries.redeliver_webhook)

    async def EnableWebhook(
        self, request: rpc.EnableWebhookRequest, context: Context
    ) -> rpc.EnableWebhookResponse:
        return await self._door.write(request, self._webhooks.enable_webhook)

    async def DisableWebhook(
        self, request: rpc.DisableWebhookRequest, context: Context
    ) -> rpc.DisableWebhookResponse:
        return await self._door.write(request, self._webhooks.disable_webhook)

    async def RotateWebhookSecret(
        self, request: rpc.RotateWebhookSecretRequest, context: Context
    ) -> rpc.RotateWebhookSecretResponse:
        return await self._door.write(request, self._webhooks.rotate_webhook_secret)

    async def SendTestWebhook(
        self, request: rpc.SendTestWebhookRequest, context: Context
    ) -> rpc.SendTestWebhookResponse:
        return await self._door.write(request, self._deliveries.send_test_webhook)

    async def RedeliverWebhookRange(
        self, request: rpc.RedeliverWebhookRangeRequest, context: Context
    ) -> rpc.RedeliverWebhookRangeResponse:
        return await self._door.write(request, self._deliveries.redeliver_webhook_range)

    async def ListWebhookDeadLetters(
        self, request: rpc.ListWebhookDeadLettersRequest, context: Context
    ) -> rpc.ListWebhookDeadLettersResponse:
        return await self._door.read(request, self._deliveries.list_webhook_dead_letters)

    async def DiscardWebhookDeadLetter(
        self, request: rpc.DiscardWebhookDeadLetterRequest, context: Context
    ) -> rpc.DiscardWebhookDeadLetterResponse:
        return await self._door.write(request, self._deliveries.discard_webhook_dead_letter)
