"""A small catalog and subscriptions to it, made through the RPCs."""

from typing import Any

from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.types.v1 import period_pb2

from corebilling.values.ids import new_id
from tests.support.platform import Platform


async def new_product(platform: Platform, code: str = "llm", **more: Any) -> catalog_pb2.Product:
    answer = await platform.stub(CatalogServiceStub).CreateProduct(
        catalog_service_pb2.CreateProductRequest(request_id=new_id("req"), code=code, name=code, **more)
    )
    return answer.product


async def new_meter(
    platform: Platform,
    code: str = "tokens",
    aggregation: Any = catalog_pb2.AGGREGATION_SUM,
    **terms: Any,
) -> catalog_pb2.Meter:
    answer = await platform.stub(CatalogServiceStub).CreateMeter(
        catalog_service_pb2.CreateMeterRequest(
            request_id=new_id("req"), code=code, name=code, aggregation=aggregation, unit="token", **terms
        )
    )
    return answer.meter


async def new_price(platform: Platform, product_id: str, code: str, **terms: Any) -> catalog_pb2.Price:
    """A monthly flat price of 20 unless the terms say otherwise."""
    chosen = {
        "model": catalog_pb2.PRICE_MODEL_FLAT,
        "usage": catalog_pb2.PRICE_USAGE_LICENSED,
        "interval_unit": period_pb2.INTERVAL_UNIT_MONTH,
        "unit_amount": "20.00",
        **terms,
    }
    answer = await platform.stub(CatalogServiceStub).CreatePrice(
        catalog_service_pb2.CreatePriceRequest(
            request_id=new_id("req"), product_id=product_id, code=code, **chosen
        )
    )
    return answer.price


async def metered_price(
    platform: Platform, product_id: str, meter_id: str, code: str = "tokens", **terms: Any
) -> catalog_pb2.Price:
    """One per unit of the meter, at 1 unless the terms say otherwise."""
    chosen = {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "unit_amount": "1", **terms}
    return await new_price(
        platform, product_id, code, usage=catalog_pb2.PRICE_USAGE_METERED, meter_id=meter_id, **chosen
    )


async def new_customer(platform: Platform, **request: Any) -> customer_pb2.Customer:
    chosen = {"details": customer_service_pb2.CustomerDetails(name="Ada"), **request}
    answer = await platform.stub(CustomerServiceStub).CreateCustomer(
        customer_service_pb2.CreateCustomerRequest(request_id=new_id("req"), **chosen)
    )
    return answer.customer


async def subscribe(
    platform: Platform, *prices: catalog_pb2.Price, **request: Any
) -> subscription_pb2.Subscription:
    """A new customer's subscription to these prices."""
    customer_id = request.pop("customer_id", None) or (await new_customer(platform)).id
    answer = await platform.stub(SubscriptionServiceStub).CreateSubscription(
        subscription_service_pb2.CreateSubscriptionRequest(
            request_id=new_id("req"),
            customer_id=customer_id,
            items=[subscription_service_pb2.NewSubscriptionItem(price_id=price.id) for price in prices],
            **request,
        )
    )
    return answer.subscription


async def subscription(platform: Platform, subscription_id: str) -> subscription_pb2.Subscription:
    answer = await platform.stub(SubscriptionServiceStub).GetSubscription(
        subscription_service_pb2.GetSubscriptionRequest(subscription_id=subscription_id)
    )
    return answer.subscription


async def change(
    platform: Platform, subscription_id: str, *prices: catalog_pb2.Price, quantity: str = "", **request: Any
) -> subscription_service_pb2.ChangeSubscriptionResponse:
    """Gives the subscription these prices, licensed ones in that quantity."""
    items = [
        subscription_service_pb2.NewSubscriptionItem(
            price_id=price.id,
            quantity=quantity if price.usage == catalog_pb2.PRICE_USAGE_LICENSED else "",
        )
        for price in prices
    ]
    return await platform.stub(SubscriptionServiceStub).ChangeSubscription(
        subscription_service_pb2.ChangeSubscriptionRequest(
            request_id=new_id("req"), subscription_id=subscription_id, items=items, **request
        )
    )


async def pause(platform: Platform, subscription_id: str) -> subscription_pb2.Subscription:
    request = subscription_service_pb2.PauseSubscriptionRequest(
        request_id=new_id("req"), subscription_id=subscription_id
    )
    return (await platform.stub(SubscriptionServiceStub).PauseSubscription(request)).subscription


async def resume(platform: Platform, subscription_id: str) -> subscription_pb2.Subscription:
    request = subscription_service_pb2.ResumeSubscriptionRequest(
        request_id=new_id("req"), subscription_id=subscription_id
    )
    return (await platform.stub(SubscriptionServiceStub).ResumeSubscription(request)).subscription
