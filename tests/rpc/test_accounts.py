"""What people may do by token: a consumer with what is their own, and with nothing of anybody else's."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from corebilling.domains.access.model import PERMISSIONS
from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.rpc.test_erasure import erase
from tests.support.app import refused
from tests.support.issuer import TestIssuer
from tests.support.market import Market, Person, market
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase

__all__ = ["market"]


async def test_consumer_sees_what_is_their_own(market: Market) -> None:
    ada = market.ada
    assert (
        await ada.call("customer", "GetCustomer", customer_id=ada.customer_id)
    ).customer.external_id == "ada"
    listed = await ada.call("subscription", "ListSubscriptions")
    assert [one.id for one in listed.subscriptions] == [ada.subscription_id]
    listed = await ada.call("invoice", "ListInvoices", page_size=10)
    assert {one.customer_id for one in listed.invoices} == {ada.customer_id}
    got = await ada.call("invoice", "GetInvoice", invoice_id=ada.invoice_id)
    assert got.invoice.id == ada.invoice_id
    line = got.invoice.lines[0].id
    assert (await ada.call("invoice", "ExplainLine", invoice_line_id=line)).explanation
    await ada.call("invoice", "RenderInvoice", invoice_id=ada.invoice_id)
    await ada.call("invoice", "ListCreditNotes")
    await ada.call("usage", "ListUsageTotals", subscription_id=ada.subscription_id)
    await ada.call("credit", "GetCreditBalance")
    await ada.call("credit", "ListCredits")
    plans = await ada.call("catalog", "ListPlans", code="basic")
    assert [plan.id for plan in plans.plans] == [market.plan_id]


async def test_what_is_somebody_elses_does_not_exist(market: Market) -> None:
    """The same answer as for what nobody has: nothing tells whether it is there."""
    ada, bob = market.ada, market.bob
    line = (await bob.call("invoice", "GetInvoice", invoice_id=bob.invoice_id)).invoice.lines[0].id
    tried = [
        ("customer", "GetCustomer", {"customer_id": bob.customer_id}),
        ("customer", "UpdateCustomer", {"customer_id": bob.customer_id}),
        ("subscription", "GetSubscription", {"subscription_id": bob.subscription_id}),
        ("subscription", "ListSubscriptions", {"customer_id": bob.customer_id}),
        ("subscription", "CreateSubscription", {"customer_id": bob.customer_id, "plan_id": market.plan_id}),
        ("subscription", "ChangeSubscription", {"subscription_id": bob.subscription_id}),
        ("subscription", "CancelSubscription", {"subscription_id": bob.subscription_id}),
        ("invoice", "GetInvoice", {"invoice_id": bob.invoice_id}),
        ("invoice", "ListInvoices", {"customer_id": bob.customer_id}),
        ("invoice", "ListInvoices", {"subscription_id": bob.subscription_id}),
        ("invoice", "ListInvoices", {"customer_id": ada.customer_id, "subscription_id": bob.subscription_id}),
        ("invoice", "ListCreditNotes", {"invoice_id": bob.invoice_id}),
        ("invoice", "PreviewInvoice", {"subscription_id": bob.subscription_id}),
        ("invoice", "RenderInvoice", {"invoice_id": bob.invoice_id}),
        ("invoice", "ExplainLine", {"invoice_line_id": line}),
        ("usage", "ListUsageTotals", {"subscription_id": bob.subscription_id}),
        ("usage", "ListUsageBuckets", {"subscription_id": bob.subscription_id}),
        ("credit", "GetCreditBalance", {"customer_id": bob.customer_id}),
    ]
    for domain, method, fields in tried:
        foreign = await ada.refused(domain, method, **fields)
        assert (foreign.code, foreign.reason) == ("NOT_FOUND", "NOT_IN_ACCOUNT"), method
        last = list(fields)[-1] if "plan_id" not in fields else "customer_id"
        for nobodys in ("nobody's", "x" * 5000, "nul\0"):
            nothing = await ada.refused(domain, method, **{**fields, last: nobodys})
            assert (nothing.code, nothing.reason) in (
                ("NOT_FOUND", "NOT_IN_ACCOUNT"),
                ("INVALID_ARGUMENT", "REQUEST_INVALID"),
            ), method
        absent = await ada.refused(domain, method, **{**fields, last: "absent"})
        assert (absent.reason, absent.message, absent.facts) == (
            foreign.reason,
            foreign.message,
            foreign.facts,
        ), method
    states = await market.platform.rows("SELECT DISTINCT state FROM subscriptions")
    assert [row["state"] for row in states] == ["active"]


async def test_consumer_changes_what_is_their_own(market: Market) -> None:
    ada = market.ada
    created = await ada.call("subscription", "CreateSubscription", plan_id=market.plan_id)
    assert created.subscription.customer_id == ada.customer_id
    (event,) = (await market.platform.events("subscription.created"))[2:]
    assert event.subscription_id == created.subscription.id
    canceled = await ada.call("subscription", "CancelSubscription", subscription_id=ada.subscription_id)
    assert canceled.subscription.state == subscription_pb2.SUBSCRIPTION_STATE_CANCELED
    updated = await ada.call(
        "customer",
        "UpdateCustomer",
        customer_id=ada.customer_id,
        details=customer_service_pb2.CustomerDetails(name="Ada L."),
        update_mask=FieldMask(paths=["name"]),
    )
    assert updated.customer.name == "Ada L."


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trial_days", 3650),
        ("start_at", Timestamp(seconds=1)),
        ("minimum_commitment_minor", 1),
        ("billing_day", 5),
        ("items", [subscription_service_pb2.NewSubscriptionItem(price_id="price")]),
    ],
)
async def test_terms_are_the_tenants_to_decide(market: Market, field: str, value: Any) -> None:
    refusal = await market.ada.refused(
        "subscription", "CreateSubscription", plan_id=market.plan_id, **{field: value}
    )
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "FIELD_NOT_YOURS")
    assert refusal.facts == {"field": field}


async def test_consumer_registers_as_themselves(market: Market) -> None:
    platform = market.platform
    eve = Person(platform, market.issuer.token("consumer", "eve"))
    for domain, method in (("subscription", "ListSubscriptions"), ("credit", "GetCreditBalance")):
        refusal = await eve.refused(domain, method)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "CUSTOMER_NOT_REGISTERED")
        assert "RegisterCustomer" in refusal.message
    foreign, nobodys = [
        await eve.refused("invoice", "GetInvoice", invoice_id=one)
        for one in (market.ada.invoice_id, "absent")
    ]
    assert foreign == nobodys
    assert foreign.reason == "CUSTOMER_NOT_REGISTERED"
    details = customer_service_pb2.CustomerDetails(name="Eve")
    refusal = await eve.refused("customer", "RegisterCustomer", external_id="ada", details=details)
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "NOT_IN_ACCOUNT")
    registered = await eve.call("customer", "RegisterCustomer", details=details, currency="EUR")
    assert registered.created
    assert registered.customer.external_id == "eve"
    assert list((await eve.call("subscription", "ListSubscriptions")).subscriptions) == []
    # Erased, they have none any more, and may come back as somebody new.
    await erase(platform, registered.customer.id)
    assert (await eve.refused("subscription", "ListSubscriptions")).reason == "CUSTOMER_NOT_REGISTERED"
    assert (await eve.call("customer", "RegisterCustomer", details=details)).created


async def test_nameless_consumer_has_no_account(market: Market) -> None:
    token = market.issuer.token("consumer", cognito__username=None)
    nobody = Person(market.platform, token)
    refusal = await nobody.refused("subscription", "ListSubscriptions")
    assert (refusal.reason, "names no account" in refusal.message) == ("NOT_IN_ACCOUNT", True)
    details = customer_service_pb2.CustomerDetails(name="Nobody")
    refusal = await nobody.refused("customer", "RegisterCustomer", details=details)
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("external_id",))


async def test_call_about_nothing_of_theirs_is_refused(market: Market) -> None:
    for domain, method, field in (
        ("invoice", "PreviewInvoice", "subscription_id"),
        ("invoice", "GetInvoice", "invoice_id"),
        ("usage", "ListUsageTotals", "subscription_id"),
    ):
        refusal = await market.ada.refused(domain, method)
        assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", (field,))


async def test_what_has_no_account_policy_is_for_the_tenant_alone(market: Market) -> None:
    for user_type in ("consumer", "creator"):
        person = Person(market.platform, market.issuer.token(user_type, "ada"))
        for domain, method, permission, fields in (
            ("customer", "CreateCustomer", "customer.write", {"details": {"name": "x"}}),
            ("customer", "ListCustomers", "customer.read", {}),
            ("invoice", "VoidInvoice", "invoice.write", {"invoice_id": market.ada.invoice_id}),
            ("catalog", "ListPrices", "catalog.read", {}),
            ("ledger", "ListAccounts", "ledger.read", {}),
        ):
            refusal = await person.refused(domain, method, **fields)
            assert refusal.code == "PERMISSION_DENIED"
            if permission in PERMISSIONS[user_type]:
                assert (refusal.reason, refusal.facts) == ("METHOD_NOT_YOURS", {"role": user_type}), method
                assert "permission" not in refusal.message, "the role has it"
            else:
                missing = ("PERMISSION_MISSING", {"permission": permission})
                assert (refusal.reason, refusal.facts) == missing, method
                assert "key's scopes" not in refusal.message, "a token has none"


async def test_creator_sees_the_catalog_and_no_customers(market: Market) -> None:
    creator = Person(market.platform, market.issuer.token("creator", "ada"))
    assert (await creator.call("catalog", "ListPlans")).plans
    refusal = await creator.refused("invoice", "ListInvoices")
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")


async def test_the_same_holds_over_http(market: Market) -> None:
    headers = {"Authorization": f"Bearer {market.ada.token}"}
    async with aiohttp.ClientSession(market.platform.app.http_address, headers=headers) as session:
        async with session.get("/api/v1/subscriptions") as listed:
            assert [one["id"] for one in (await listed.json())["subscriptions"]] == [
                market.ada.subscription_id
            ]
        async with session.get(f"/api/v1/invoices/{market.bob.invoice_id}") as foreign:
            assert foreign.status == 404
        async with session.get(f"/api/v1/invoices/{market.ada.invoice_id}") as own:
            assert (await own.json())["invoice"]["customer_id"] == market.ada.customer_id


async def test_a_stream_of_usage_ends_with_its_credential(market: Market) -> None:
    """The record that came before is kept; none that comes after is."""
    platform = market.platform
    access = platform.stub(AccessServiceStub)
    made = await access.CreateApiKey(
        access_service_pb2.CreateApiKeyRequest(
            request_id=new_id("req"), name="k", role=api_key_pb2.ROLE_BILLING_ADMIN
        )
    )
    ingested = asyncio.Event()

    async def records() -> AsyncIterator[usage_service_pb2.StreamUsageRequest]:
        for key in ("first", "second"):
            record = usage_pb2.UsageRecord(idempotency_key=key, meter_code="none", quantity="1")
            record.subscription_id = market.ada.subscription_id
            record.recorded_at.CopyFrom(timestamp(platform.clock.now()))
            yield usage_service_pb2.StreamUsageRequest(records=[record])
            if key == "first":
                await ingested.wait()

    metadata = (("x-api-key", made.secret),)
    stream = asyncio.ensure_future(
        refused(platform.stub(UsageServiceStub, key="").StreamUsage(records(), metadata=metadata))
    )
    # The key has been used: the stream is under way.
    used = access_service_pb2.GetApiKeyRequest(api_key_id=made.api_key.id)
    while not (await access.GetApiKey(used)).api_key.HasField("last_used_at"):
        continue
    await access.RevokeApiKey(
        access_service_pb2.RevokeApiKeyRequest(request_id=new_id("req"), api_key_id=made.api_key.id)
    )
    platform.clock.advance(minutes=1)
    ingested.set()
    assert (await stream).reason == "CREDENTIAL_INVALID"


async def test_http_can_be_without_rpcs(database: TestDatabase) -> None:
    async with (
        running_platform(database, http_api=False) as platform,
        aiohttp.ClientSession(platform.app.http_address) as session,
    ):
        for path, status in (("/v1/customers", 404), ("/health", 200)):
            async with session.get(path, headers={"x-api-key": platform.tenant_key}) as answer:
                assert answer.status == status


async def explained(platform: Platform, method: str, **holder: str) -> tuple[bool, list[str]]:
    """Whether it is allowed, and the first check that is not passed."""
    answer = await platform.stub(AccessServiceStub).ExplainAccess(
        access_service_pb2.ExplainAccessRequest(method=method, **holder)
    )
    return answer.allowed, [check.name for check in answer.checks if not check.passed]


async def test_explanation_says_what_the_server_would(market: Market) -> None:
    platform, get, void = market.platform, "InvoiceService/GetInvoice", "InvoiceService/VoidInvoice"
    get, void = f"billing.invoice.v1.{get}", f"billing.invoice.v1.{void}"
    access = platform.stub(AccessServiceStub)
    assert await explained(platform, void) == (True, [])
    assert await explained(platform, "billing.tenant.v1.TenantService/CreateTenant") == (
        False,
        ["platform", "permission"],
    )
    made = await access.CreateApiKey(
        access_service_pb2.CreateApiKeyRequest(
            request_id=new_id("req"), name="k", role=api_key_pb2.ROLE_BILLING_ADMIN, scopes=["invoice.read"]
        )
    )
    key = made.api_key.id
    assert await explained(platform, get, api_key_id=key) == (True, [])
    assert await explained(platform, void, api_key_id=key) == (False, ["permission"])
    await access.RevokeApiKey(
        access_service_pb2.RevokeApiKeyRequest(request_id=new_id("req"), api_key_id=key)
    )
    assert await explained(platform, get, api_key_id=key) == (False, ["credential"])
    ada = market.ada.token
    assert await explained(platform, get, token=ada) == (True, [])
    assert await explained(platform, void, token=ada) == (False, ["permission", "account"])
    assert await explained(platform, get, token=market.issuer.token("creator")) == (False, ["permission"])
    nobody = (False, ["credential"])
    assert await explained(platform, get, token="a.b.c") == nobody
    expired = market.issuer.token(exp=platform.clock.now() - timedelta(minutes=1))
    assert await explained(platform, get, token=expired) == nobody
    other_id, _ = await platform.new_tenant("other")
    foreign = TestIssuer(platform.clock, other_id).token("admin")
    assert await explained(platform, get, token=foreign) == nobody
    for wrong in ("nothing", "billing.invoice.v1.InvoiceService/Nothing", "a/b/c"):
        refusal = await refused(access.ExplainAccess(access_service_pb2.ExplainAccessRequest(method=wrong)))
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "METHOD_NOT_FOUND")
    refusal = await refused(
        access.ExplainAccess(access_service_pb2.ExplainAccessRequest(method=get, api_key_id="key_absent"))
    )
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "API_KEY_NOT_FOUND")
