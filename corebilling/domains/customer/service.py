"""Use cases of customers."""

from typing import Any

from billing.customer.v1 import customer_events_pb2 as events
from billing.customer.v1 import customer_pb2
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.types.v1 import language_pb2
from billing_db import customer as customer_sql
from billing_db import request_key as request_sql
from billing_db.models import Customer
from google.protobuf.json_format import MessageToDict

from corebilling.db.failure import refuse_on
from corebilling.db.transaction import Transaction
from corebilling.domains.customer.model import check_erasable, decide_changed_fields
from corebilling.domains.customer.rows import find_customer, find_present_customer
from corebilling.errors import Aborted, AlreadyExists, NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_text, to_message
from corebilling.values.currency import check_currency
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.period import time_zone


class CustomerService:
    """Creates, finds and changes customers."""

    async def create_customer(
        self, tx: Transaction, request: rpc.CreateCustomerRequest
    ) -> rpc.CreateCustomerResponse:
        return rpc.CreateCustomerResponse(customer=_message(await self._new(tx, request)))

    async def register_customer(
        self, tx: Transaction, request: rpc.RegisterCustomerRequest
    ) -> rpc.RegisterCustomerResponse:
        # Whoever registers the same id meanwhile waits here, and then finds the customer.
        await tx.lock(request.external_id)
        known = await customer_sql.list_customers(
            tx, tenant_id=tx.tenant_id, external_id=request.external_id, after="", limit_rows=1
        )
        if known:
            return rpc.RegisterCustomerResponse(customer=_message(known[0]))
        customer = await self._new(tx, request)
        return rpc.RegisterCustomerResponse(customer=_message(customer), created=True)

    async def _new(
        self, tx: Transaction, request: rpc.CreateCustomerRequest | rpc.RegisterCustomerRequest
    ) -> Customer:
        details = request.details
        taken = AlreadyExists(
            "CUSTOMER_EXTERNAL_ID_TAKEN",
            "A customer with this external id exists; find it with ListCustomers.",
            {"external_id": request.external_id},
        )
        with refuse_on({"customers_external_id_taken": taken}):
            customer = await customer_sql.insert_customer(
                tx,
                tenant_id=tx.tenant_id,
                id=new_id("cus"),
                external_id=request.external_id or None,
                currency=check_currency(request.currency) if request.currency else None,
                timezone=time_zone(details.timezone).key if details.timezone else None,
                language=enum_text(language_pb2.Language, details.language),
                name=details.name,
                company=details.company,
                email=details.email,
                tax_id=details.tax_id,
                address=_address(details),
                consolidate_invoices=details.consolidate_invoices,
                created_at=tx.now,
            )
        if customer is None:
            raise NotFound("TENANT_NOT_FOUND", "There is no such tenant.", {"tenant_id": tx.tenant_id})
        _announce(tx, customer, events.CustomerCreated(customer_id=customer.id, currency=customer.currency))
        return customer

    async def get_customer(self, tx: Transaction, request: rpc.GetCustomerRequest) -> rpc.GetCustomerResponse:
        return rpc.GetCustomerResponse(customer=_message(await find_customer(tx, request.customer_id)))

    async def list_customers(
        self, tx: Transaction, request: rpc.ListCustomersRequest
    ) -> rpc.ListCustomersResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await customer_sql.list_customers(
            tx, tenant_id=tx.tenant_id, external_id=request.external_id, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListCustomersResponse(customers=map(_message, page), next_page_token=token)

    async def update_customer(
        self, tx: Transaction, request: rpc.UpdateCustomerRequest
    ) -> rpc.UpdateCustomerResponse:
        fields = decide_changed_fields(request.update_mask.paths)
        await tx.lock(request.customer_id)
        customer = await find_present_customer(tx, request.customer_id)
        if request.etag and request.etag != _etag(customer):
            raise Aborted(
                "ETAG_MISMATCH",
                "The customer changed since; read it again and repeat.",
                {"etag": _etag(customer)},
            )
        changed = await customer_sql.mark_customer_updated(
            tx,
            tenant_id=tx.tenant_id,
            id=customer.id,
            version=customer.version,
            updated_at=tx.now,
            **_changed_details(customer, request.details, fields),
        )
        assert changed is not None, "the lock keeps the version"
        _announce(tx, changed, events.CustomerUpdated(customer_id=changed.id, changed_fields=fields))
        return rpc.UpdateCustomerResponse(customer=_message(changed))

    async def erase_customer(
        self, tx: Transaction, request: rpc.EraseCustomerRequest
    ) -> rpc.EraseCustomerResponse:
        """For good; erasing again changes nothing.

        Raises:
            NotFound: CUSTOMER_NOT_FOUND.
            FailedPrecondition: CUSTOMER_NOT_ERASABLE, with what must end first.
        """
        customer = await find_customer(tx, request.customer_id)
        # The external id too: whoever registers it again meanwhile would be answered with what is erased.
        await tx.lock(*filter(None, (customer.id, customer.external_id)))
        customer = await find_customer(tx, customer.id)
        if customer.erased_at is not None:
            return rpc.EraseCustomerResponse(customer=_message(customer))
        obstacle = await customer_sql.find_obstacle(tx, tenant_id=tx.tenant_id, customer_id=customer.id)
        check_erasable(customer.id, (obstacle.kind, obstacle.id) if obstacle else None)
        await customer_sql.keep_bill_to(tx, tenant_id=tx.tenant_id, customer_id=customer.id)
        await customer_sql.erase_exemption_reference(tx, tenant_id=tx.tenant_id, customer_id=customer.id)
        await request_sql.erase_answers(tx, tenant_id=tx.tenant_id, customer_id=customer.id)
        erased = await customer_sql.erase_customer(
            tx, tenant_id=tx.tenant_id, id=customer.id, erased_at=tx.now
        )
        _announce(tx, erased, events.CustomerErased(customer_id=erased.id))
        return rpc.EraseCustomerResponse(customer=_message(erased))


def _changed_details(
    customer: Customer, details: rpc.CustomerDetails, fields: tuple[str, ...]
) -> dict[str, Any]:
    """All details as they will be: the named ones from the request, the others as they are."""
    new = {
        "timezone": time_zone(details.timezone or customer.timezone).key,
        "language": enum_text(language_pb2.Language, details.language),
        "name": details.name,
        "company": details.company,
        "email": details.email,
        "tax_id": details.tax_id,
        "address": _address(details),
        "consolidate_invoices": details.consolidate_invoices,
    }
    return {name: value if name in fields else getattr(customer, name) for name, value in new.items()}


def _address(details: rpc.CustomerDetails) -> dict[str, Any] | None:
    return (
        MessageToDict(details.address, preserving_proto_field_name=True)
        if details.HasField("address")
        else None
    )


def _announce(
    tx: Transaction,
    customer: Customer,
    payload: events.CustomerCreated | events.CustomerUpdated | events.CustomerErased,
) -> None:
    outbox.append(
        tx, payload, resource_id=customer.id, resource_version=customer.version, ordering_key=customer.id
    )


def _etag(customer: Customer) -> str:
    return str(customer.version)


def _message(customer: Customer) -> customer_pb2.Customer:
    return to_message(customer, customer_pb2.Customer, etag=_etag(customer))
