"""Erasing a customer: what must end first, what is refused afterwards, and what stays."""

from typing import Any

import pytest
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.audit.v1 import audit_service_pb2
from billing.audit.v1.audit_service_pb2_grpc import AuditServiceStub
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.discount.v1 import discount_service_pb2
from billing.discount.v1.discount_service_pb2_grpc import DiscountServiceStub
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.options.v1 import options_pb2
from billing.subscription.v1 import subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.rpc.method import Idempotency, holds_personal
from corebilling.values.ids import new_id
from tests.rpc.test_customer import details, update
from tests.support.app import Refusal, refused
from tests.support.catalog import new_customer, new_price, new_product, subscribe
from tests.support.invoice import invoices_of
from tests.support.platform import Platform
from tests.support.requests.calling import METHODS

PERSONAL: Any = options_pb2.personal
ADDRESS = customer_pb2.Address(line1="1 Main St", city="London", country="GB")


async def erase(
    platform: Platform, customer_id: str, *, key: str | None = None, **request: Any
) -> customer_pb2.Customer:
    chosen = {"request_id": new_id("req"), "reason": "asked by mail", **request}
    answer = await platform.stub(CustomerServiceStub, key=key).EraseCustomer(
        customer_service_pb2.EraseCustomerRequest(customer_id=customer_id, **chosen)
    )
    return answer.customer


async def cancel(platform: Platform, subscription_id: str) -> None:
    await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id=new_id("req"), subscription_id=subscription_id
        )
    )


async def write_off(platform: Platform, customer_id: str) -> None:
    for invoice in await invoices_of(platform, customer_id=customer_id):
        if invoice.state == invoice_pb2.INVOICE_STATE_OPEN:
            await platform.stub(InvoiceServiceStub).WriteOffInvoice(
                invoice_service_pb2.WriteOffInvoiceRequest(request_id=new_id("req"), invoice_id=invoice.id)
            )


async def test_an_erased_customer_is_empty_and_announced(platform: Platform) -> None:
    created = await new_customer(
        platform,
        external_id="crm-1",
        details=details(name="Ada", company="Engines", email="a@b.c", tax_id="T-1", address=ADDRESS),
    )
    erased = await erase(platform, created.id)
    assert erased.status == customer_pb2.CUSTOMER_STATUS_ERASED
    assert erased.HasField("erased_at")
    assert not any((erased.name, erased.company, erased.email, erased.tax_id, erased.external_id))
    assert not erased.HasField("address")
    assert (erased.id, erased.currency, erased.version) == (created.id, "USD", 2)
    (event,) = await platform.events("customer.erased")
    assert event.customer_id == created.id


async def test_the_audit_log_says_who_erased_what_and_why_but_not_whom(platform: Platform) -> None:
    customer = await new_customer(platform, details=details(name="Ada"))
    await erase(platform, customer.id)
    answer = await platform.stub(AuditServiceStub).ListAuditEntries(
        audit_service_pb2.ListAuditEntriesRequest(action="EraseCustomer")
    )
    (entry,) = answer.entries
    assert entry.reason == "asked by mail"
    (change,) = entry.changes
    assert '"name": "***"' in change.old_json
    assert '"name": ""' in change.new_json


async def test_erasing_again_changes_nothing(platform: Platform) -> None:
    customer = await new_customer(platform)
    first = await erase(platform, customer.id)
    assert await erase(platform, customer.id) == first
    assert len(await platform.events("customer.erased")) == 1


async def test_what_runs_or_is_not_settled_must_end_first(platform: Platform) -> None:
    subscription = await subscribe(
        platform, await new_price(platform, (await new_product(platform)).id, "fee")
    )

    async def obstacle() -> str:
        refusal = await refused(erase(platform, subscription.customer_id))
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "CUSTOMER_NOT_ERASABLE")
        assert refusal.facts["customer_id"] == subscription.customer_id
        assert refusal.facts["id"]
        return refusal.facts["obstacle"]

    await platform.pass_time(days=10)
    assert await obstacle() == "subscription"
    await cancel(platform, subscription.id)
    assert await obstacle() == "billing_cycle"
    await platform.pass_time(days=1)
    assert await obstacle() == "invoice"
    await write_off(platform, subscription.customer_id)
    erased = await erase(platform, subscription.customer_id)
    assert erased.status == customer_pb2.CUSTOMER_STATUS_ERASED


async def test_an_issued_invoice_keeps_whom_it_was_issued_to(platform: Platform) -> None:
    customer = await new_customer(
        platform, details=details(name="Ada", company="Engines", email="a@b.c", address=ADDRESS)
    )
    price = await new_price(platform, (await new_product(platform)).id, "fee")
    subscription = await subscribe(platform, price, customer_id=customer.id)
    await cancel(platform, subscription.id)
    await platform.pass_time(days=1)
    (invoice,) = await invoices_of(platform, customer_id=customer.id)
    await write_off(platform, customer.id)
    before = await page(platform, invoice.id)
    (books,) = await platform.rows("SELECT count(*) AS entries, sum(amount_minor) FROM ledger_entries")
    await erase(platform, customer.id)
    after = await page(platform, invoice.id)
    assert all(text in after for text in ("Ada", "Engines", "1 Main St", "London"))
    assert "a@b.c" in before
    assert "a@b.c" not in after, "no invoice must say where it was sent"
    assert [books] == await platform.rows("SELECT count(*) AS entries, sum(amount_minor) FROM ledger_entries")
    assert (await invoices_of(platform, customer_id=customer.id))[0].total_minor == invoice.total_minor


async def page(platform: Platform, invoice_id: str) -> str:
    answer = await platform.stub(InvoiceServiceStub).RenderInvoice(
        invoice_service_pb2.RenderInvoiceRequest(
            invoice_id=invoice_id, format=invoice_service_pb2.INVOICE_FORMAT_HTML
        )
    )
    return answer.html


async def test_nothing_new_is_made_for_an_erased_customer(platform: Platform) -> None:
    customer = await new_customer(platform, external_id="crm-1")
    price = await new_price(platform, (await new_product(platform)).id, "fee")
    await erase(platform, customer.id)

    async def refusal(call: Any) -> Refusal:
        refusal = await refused(call)
        assert refusal.facts == {"customer_id": customer.id}
        return refusal

    invoices, discounts = platform.stub(InvoiceServiceStub), platform.stub(DiscountServiceStub)
    for call in (
        update(platform, customer.id, ["name"], name="Ada"),
        subscribe(platform, price, customer_id=customer.id),
        invoices.CreateInvoice(
            invoice_service_pb2.CreateInvoiceRequest(
                request_id=new_id("req"),
                customer_id=customer.id,
                items=[{"description": "one", "unit_amount": "1"}],
            )
        ),
        discounts.RedeemCoupon(
            discount_service_pb2.RedeemCouponRequest(
                request_id=new_id("req"), customer_id=customer.id, code="ten"
            )
        ),
    ):
        assert (await refusal(call)).reason == "CUSTOMER_ERASED"
    # And its external id is free.
    assert (await new_customer(platform, external_id="crm-1")).id != customer.id


async def test_a_repetition_of_what_was_answered_about_it_is_told_so(platform: Platform) -> None:
    stub = platform.stub(CustomerServiceStub)
    request = customer_service_pb2.CreateCustomerRequest(request_id="once", details=details(name="Ada"))
    created = (await stub.CreateCustomer(request)).customer
    other = await new_customer(platform)
    await erase(platform, created.id, request_id="erasure")
    refusal = await refused(stub.CreateCustomer(request))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "ANSWER_ERASED")
    assert refusal.facts == {"request_id": "once"}
    assert "use a new request id" in refusal.message
    assert (await erase(platform, created.id, request_id="erasure")).id == created.id
    rows = await platform.rows("SELECT customer_id FROM request_keys WHERE response IS NULL")
    assert [row["customer_id"] for row in rows] == [created.id]
    assert other.name


async def test_only_owners_erase(platform: Platform) -> None:
    customer = await new_customer(platform)
    key = await platform.stub(AccessServiceStub).CreateApiKey(
        access_service_pb2.CreateApiKeyRequest(
            request_id=new_id("req"), name="billing", role=api_key_pb2.ROLE_BILLING_ADMIN
        )
    )
    refusal = await refused(erase(platform, customer.id, key=key.secret))
    assert (refusal.reason, refusal.facts) == ("PERMISSION_MISSING", {"permission": "customer.erase"})


async def test_other_tenant_gets_not_found(platform: Platform) -> None:
    customer = await new_customer(platform)
    _, other_key = await platform.new_tenant("other")
    refusal = await refused(erase(platform, customer.id, key=other_key))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "CUSTOMER_NOT_FOUND")


KEPT_ANSWERS = [method for method in METHODS if method.idempotency is Idempotency.REQUEST_ID]


@pytest.mark.parametrize(
    "method", [method for method in KEPT_ANSWERS if method.personal], ids=lambda method: method.full_name
)
def test_it_is_known_whose_personal_data_a_kept_answer_holds(method: Any) -> None:
    """Otherwise erasure would not find it."""
    fields = method.request_class.DESCRIPTOR.fields_by_name
    customer = method.response_class.DESCRIPTOR.fields_by_name.get("customer")
    assert "customer_id" in fields or (customer is not None and "id" in customer.message_type.fields_by_name)


def test_personal_fields_are_found_however_deep() -> None:
    assert holds_personal(customer_service_pb2.ListCustomersResponse.DESCRIPTOR)
    assert not holds_personal(invoice_pb2.Invoice.DESCRIPTOR)
    assert {method.name for method in KEPT_ANSWERS if method.personal} >= {
        "CreateCustomer",
        "RegisterCustomer",
        "UpdateCustomer",
        "SetTaxExemption",
    }


async def test_what_is_declared_personal_is_what_the_audit_log_masks(platform: Platform) -> None:
    (row,) = await platform.rows(
        "SELECT tgargs FROM pg_trigger WHERE tgname = 'audited' AND tgrelid = 'customers'::regclass"
    )
    masked = row["tgargs"].split(b"\0")[1].decode().strip("{}").split(",")
    declared = [
        field.name
        for field in customer_pb2.Customer.DESCRIPTOR.fields
        if field.GetOptions().Extensions[PERSONAL]
    ]
    assert sorted(masked) == sorted(declared)
