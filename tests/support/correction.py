"""Corrections of usage and of prices, through the RPCs."""

from billing.invoice.v1 import invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.values.ids import new_id
from tests.support.platform import Platform


async def retract(platform: Platform, key: str, *, as_key: str | None = None) -> rpc.RetractUsageResponse:
    request = rpc.RetractUsageRequest(request_id=new_id("req"), idempotency_key=key, reason="counted twice")
    return await platform.stub(UsageServiceStub, key=as_key).RetractUsage(request)


async def correct(
    platform: Platform, key: str, quantity: str, *, as_key: str | None = None
) -> rpc.CorrectUsageResponse:
    request = rpc.CorrectUsageRequest(
        request_id=new_id("req"), idempotency_key=key, quantity=quantity, reason="wrong unit"
    )
    return await platform.stub(UsageServiceStub, key=as_key).CorrectUsage(request)


async def corrections(platform: Platform, **chosen: object) -> list[usage_pb2.UsageCorrection]:
    """Newest first."""
    request = rpc.ListUsageCorrectionsRequest(**chosen)  # type: ignore[arg-type]
    return list((await platform.stub(UsageServiceStub).ListUsageCorrections(request)).corrections)


async def rerate(
    platform: Platform, cycle_id: str, wrong_id: str, corrected_id: str, *, as_key: str | None = None
) -> invoice_service_pb2.RerateCycleResponse:
    request = invoice_service_pb2.RerateCycleRequest(
        request_id=new_id("req"),
        cycle_id=cycle_id,
        price_id=wrong_id,
        corrected_price_id=corrected_id,
        reason="the price list was wrong",
    )
    return await platform.stub(InvoiceServiceStub, key=as_key).RerateCycle(request)


async def preview(
    platform: Platform, cycle_id: str, wrong_id: str, corrected_id: str
) -> invoice_service_pb2.PreviewReratingResponse:
    request = invoice_service_pb2.PreviewReratingRequest(
        cycle_id=cycle_id, price_id=wrong_id, corrected_price_id=corrected_id
    )
    return await platform.stub(InvoiceServiceStub).PreviewRerating(request)
