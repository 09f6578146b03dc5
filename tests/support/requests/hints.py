"""What descriptors do not say: fields that only make sense together, and things that a call uses up.

A method that is not named here is filled from its descriptor alone, with the world's ids.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

from corebilling.mapping import timestamp
from tests.support.requests.world import BY_NAME, FAILING_HANDLER, World, quota_terms

Fields: TypeAlias = Mapping[str, Any]
Hint: TypeAlias = Callable[[World], Awaitable[Fields]]
HINTS: dict[str, Hint] = {}


def hint(*methods: str) -> Callable[[Hint], Hint]:
    def note(made: Hint) -> Hint:
        HINTS.update(dict.fromkeys(methods, made))
        return made

    return note


# Fields that have to go when another one is set.
RIVALS: Mapping[str, tuple[str, ...]] = {
    "ChangeSubscriptionRequest.plan_id": ("items",),
    "CheckEntitlementRequest.question.customer_id": ("question.subscription_id",),
    "CheckEntitlementRequest.question.meter_code": ("question.feature_code",),
    "CreateSubscriptionRequest.items.price_id": ("plan_id",),
    "PreviewInvoiceRequest.cancel.subscription_id": ("subscription_id",),
    "PreviewInvoiceRequest.change.plan_id": ("subscription_id",),
    "PreviewInvoiceRequest.change.subscription_id": ("subscription_id",),
    "PreviewInvoiceRequest.create.customer_id": ("subscription_id",),
    "PreviewInvoiceRequest.create.items.price_id": ("subscription_id", "create.plan_id"),
    "PreviewInvoiceRequest.create.plan_id": ("subscription_id", "create.items"),
    "PreviewInvoiceRequest.pause.subscription_id": ("subscription_id",),
    "PreviewInvoiceRequest.resume.subscription_id": ("subscription_id",),
    "SetPriceOverrideRequest.subscription_id": ("customer_id",),
}


@hint("RevokeApiKey", "RotateApiKey")
async def _an_api_key(world: World) -> Fields:
    return {"api_key_id": (await world.api_key()).api_key.id}


@hint("ExplainAccess")
async def _a_method(world: World) -> Fields:
    return {"method": BY_NAME["GetCustomer"].full_name}


@hint("CreateProduct", "CreateMeter", "CreatePlan")
async def _a_new_code(world: World) -> Fields:
    return {"code": world.fresh_code()}


@hint("CreatePrice")
async def _a_price_of_use(world: World) -> Fields:
    return {
        "code": world.fresh_code(),
        "model": "PRICE_MODEL_PER_UNIT",
        "usage": "PRICE_USAGE_METERED",
        "meter_id": world.ids["meter"],
        "interval_unit": "INTERVAL_UNIT_MONTH",
        "unit_amount": "1",
    }


@hint("DeprecatePlan")
async def _a_plan(world: World) -> Fields:
    return {"plan_id": await world.plan()}


@hint("SetPlanOffered")
async def _an_offer(world: World) -> Fields:
    return {"plan_id": await world.plan(), "offered": True}


@hint("SetPriceOverride")
async def _an_agreement(world: World) -> Fields:
    return {"customer_id": await world.customer(), "unit_amount": "0.5"}


@hint("EndPriceOverride")
async def _a_price_override(world: World) -> Fields:
    return {"price_override_id": await world.price_override()}


@hint("VoidCredit")
async def _a_credit(world: World) -> Fields:
    return {"credit_id": await world.credit()}


@hint("RegisterCustomer")
async def _somebody_new(world: World) -> Fields:
    return {"external_id": world.fresh_code()}


@hint("UpdateCustomer")
async def _another_name(world: World) -> Fields:
    return {
        "customer_id": await world.customer(),
        "details": {"name": f"{world.marker} Grace"},
        "update_mask": {"paths": ["name"]},
    }


@hint("CreateCoupon")
async def _a_percentage(world: World) -> Fields:
    return {"code": world.fresh_code(), "kind": "DISCOUNT_KIND_PERCENT", "percent": "5"}


@hint("ArchiveCoupon")
async def _a_coupon(world: World) -> Fields:
    return {"coupon_id": (await world.coupon()).id}


@hint("RedeemCoupon")
async def _who_has_it_not_yet(world: World) -> Fields:
    return {"code": (await world.coupon()).code, "customer_id": await world.customer()}


@hint("EndDiscount")
async def _a_discount(world: World) -> Fields:
    return {"discount_id": await world.discount()}


@hint("GetDeadLetter")
async def _the_dead_letter(world: World) -> Fields:
    return {"event_id": world.ids["dead_letter"], "handler": FAILING_HANDLER}


@hint("RetryDeadLetters", "DiscardDeadLetters")
async def _a_dead_letter(world: World) -> Fields:
    return {"filter": {"event_ids": [await world.dead_letter()]}}


@hint("FinalizeInvoice")
async def _a_draft(world: World) -> Fields:
    return {"invoice_id": (await world.invoice(finalize=False)).id}


@hint(
    "VoidInvoice",
    "WriteOffInvoice",
    "IssueCreditNote",
    "ReissueInvoice",
    "ShareInvoice",
    "RevokeInvoiceLinks",
)
async def _an_open_invoice(world: World) -> Fields:
    return {"invoice_id": (await world.invoice()).id}


@hint("RecordPayment")
async def _a_part_of_it(world: World) -> Fields:
    return {"invoice_id": (await world.invoice()).id, "amount_minor": 100, "currency": "USD"}


@hint("ApplyCredits")
async def _an_invoice_and_a_credit(world: World) -> Fields:
    invoice = await world.invoice()
    await world.credit(invoice.customer_id, "CREDIT_KIND_PREPAID")
    return {"invoice_id": invoice.id}


@hint("RerateCycle", "PreviewRerating")
async def _another_price(world: World) -> Fields:
    dearer = str(3 + int(world.fresh_code().rpartition("-")[2]))
    return {
        "price_id": await world.rated_price(),
        "corrected_price_id": await world.price(unit_amount=dearer),
    }


@hint("PreviewInvoice")
async def _the_next_one(world: World) -> Fields:
    return {"subscription_id": world.ids["subscription"]}


@hint("SetFeature")
async def _a_feature(world: World) -> Fields:
    return {"scope": "QUOTA_SCOPE_PLAN", "subject_id": world.ids["plan"], "code": world.fresh_code()}


@hint("RemoveFeature")
async def _a_feature_to_remove(world: World) -> Fields:
    feature = await _a_feature(world)
    await world.do("SetFeature", **feature)
    return {"subject_id": feature["subject_id"], "code": feature["code"]}


@hint("CheckEntitlement")
async def _a_question(world: World) -> Fields:
    return {"question": {"subscription_id": world.ids["subscription"], "feature_code": world.code}}


@hint("BatchCheckEntitlements")
async def _questions(world: World) -> Fields:
    return {"questions": [(await _a_question(world))["question"]]}


@hint("SetQuota")
async def _terms_of_a_quota(world: World) -> Fields:
    return quota_terms(await world.subscription(), world.code)


@hint("RemoveQuota")
async def _a_quota(world: World) -> Fields:
    return {"quota_id": await world.quota()}


@hint("Replay")
async def _a_rehearsal(world: World) -> Fields:
    return {"filter": {"event_ids": [world.ids["event"]]}, "dry_run": True}


@hint("AdvanceTestClock")
async def _the_next_second(world: World) -> Fields:
    return {"target_at": timestamp(await world.now() + timedelta(seconds=1))}


@hint("CreateSubscription")
async def _who_and_what(world: World) -> Fields:
    return {"customer_id": await world.customer(), "plan_id": world.ids["plan"]}


@hint("ChangeSubscription")
async def _another_quantity(world: World) -> Fields:
    items = [{"price_id": world.ids["fee"], "quantity": "2"}, {"price_id": world.ids["price"]}]
    return {"subscription_id": await world.subscription(), "items": items}


@hint("SetSpendThresholds")
async def _a_threshold(world: World) -> Fields:
    return {"subscription_id": await world.subscription(), "spend_thresholds": [{"amount_minor": 100_000}]}


@hint("PauseSubscription", "CancelSubscription")
async def _a_subscription(world: World) -> Fields:
    return {"subscription_id": await world.subscription()}


@hint("ResumeSubscription")
async def _a_paused_subscription(world: World) -> Fields:
    paused = await world.subscription()
    await world.do("PauseSubscription", subscription_id=paused)
    return {"subscription_id": paused}


@hint("CreateTaxRate")
async def _a_place(world: World) -> Fields:
    return {"country": "DE", "region": world.fresh_code(), "percent": "7"}


@hint("ArchiveTaxRate")
async def _a_tax_rate(world: World) -> Fields:
    return {"tax_rate_id": await world.tax_rate()}


@hint("SetTaxTerms")
async def _tax_terms(world: World) -> Fields:
    return {"terms": {"behavior": "TAX_BEHAVIOR_EXCLUSIVE"}}


@hint("EraseCustomer")
async def _a_customer_without_obligations(world: World) -> Fields:
    return {"customer_id": await world.customer()}


@hint("SetTaxExemption")
async def _an_exemption(world: World) -> Fields:
    return {"customer_id": await world.customer(), "exemption": "TAX_EXEMPTION_EXEMPT"}


@hint("CreateTenant")
async def _a_tenant(world: World) -> Fields:
    return {"slug": world.fresh_code(), "mode": "TENANT_MODE_LIVE"}


@hint("ReportUsage")
async def _a_record(world: World) -> Fields:
    record = {
        "idempotency_key": world.fresh_code(),
        "subscription_id": world.ids["subscription"],
        "meter_code": world.code,
        "quantity": "1",
        "recorded_at": timestamp(await world.now()),
    }
    return {"record": record}


@hint("BatchReportUsage", "StreamUsage")
async def _records(world: World) -> Fields:
    return {"records": [(await _a_record(world))["record"]]}


@hint("RetractUsage", "CorrectUsage")
async def _a_key(world: World) -> Fields:
    return {"idempotency_key": await world.usage()}


@hint("ListUsageBuckets", "ReconcileUsage")
async def _these_days(world: World) -> Fields:
    now = await world.now()
    return {"start": timestamp(now - timedelta(days=40)), "end": timestamp(now + timedelta(days=1))}


@hint("CreateWebhook")
async def _an_address(world: World) -> Fields:
    return {"url": f"http://127.0.0.1:9/{world.marker}", "filters": ["nothing.at.all"]}


@hint("UpdateWebhook")
async def _other_filters(world: World) -> Fields:
    return {
        "webhook_id": await world.webhook(),
        "filters": ["nothing.either"],
        "update_mask": {"paths": ["filters"]},
    }


@hint("DeleteWebhook", "DisableWebhook", "RotateWebhookSecret", "SendTestWebhook")
async def _a_webhook(world: World) -> Fields:
    return {"webhook_id": await world.webhook()}


@hint("EnableWebhook")
async def _a_disabled_webhook(world: World) -> Fields:
    webhook_id = await world.webhook()
    await world.do("DisableWebhook", webhook_id=webhook_id)
    return {"webhook_id": webhook_id}


@hint("RedeliverWebhook", "DiscardWebhookDeadLetter")
async def _a_dead_delivery(world: World) -> Fields:
    assert world.dead_deliveries, "each was delivered again, or discarded"
    return {"delivery_id": world.dead_deliveries.pop(0)}


@hint("RedeliverWebhookRange")
async def _the_oldest_dead_delivery(world: World) -> Fields:
    return {"created_from": timestamp(await world.now() - timedelta(days=400)), "limit": 1}
