"""Use cases of taxes: rates, how invoices are taxed, and who is not."""

from decimal import Decimal

from billing.tax.v1 import tax_events_pb2 as events
from billing.tax.v1 import tax_pb2 as pb
from billing.tax.v1 import tax_service_pb2 as rpc
from billing_db import customer as customer_sql
from billing_db import tax as tax_sql
from billing_db import tenant as tenant_sql
from billing_db.models import TaxRate as TaxRateRow

from corebilling.db.transaction import Transaction
from corebilling.domains.customer.rows import find_customer, find_present_customer
from corebilling.domains.tax.model import JurisdictionRate, check_new_rate
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import decimal_text, enum_text, to_message
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit

# One creation at a time per tenant, so that the limit holds.
_CREATION_LOCK = "tax_rates"


def jurisdiction_rate(row: TaxRateRow) -> JurisdictionRate:
    return JurisdictionRate(
        id=row.id,
        name=row.name,
        country=row.country,
        region=row.region,
        category=row.category,
        percent=row.percent,
        compound=row.compound,
    )


class TaxService:
    """Keeps what invoices to come are taxed by; those made are not touched."""

    async def create_tax_rate(
        self, tx: Transaction, request: rpc.CreateTaxRateRequest
    ) -> rpc.CreateTaxRateResponse:
        await tx.lock(_CREATION_LOCK)
        rows = await tax_sql.list_tax_rates_in_force(tx, tenant_id=tx.tenant_id, country=request.country)
        new = JurisdictionRate(
            id=new_id("txr"),
            name=request.name,
            country=request.country,
            region=request.region,
            category=request.category,
            percent=Decimal(request.percent),
            compound=request.compound,
        )
        check_new_rate([jurisdiction_rate(row) for row in rows], new)
        rate = await tax_sql.insert_tax_rate(
            tx,
            tenant_id=tx.tenant_id,
            id=new.id,
            name=new.name,
            country=new.country,
            region=new.region,
            category=new.category,
            percent=new.percent,
            compound=new.compound,
            created_at=tx.now,
        )
        created = events.TaxRateCreated(
            tax_rate_id=rate.id,
            country=rate.country,
            region=rate.region,
            category=rate.category,
            percent=decimal_text(rate.percent),
        )
        outbox.append(tx, created, resource_id=rate.id, resource_version=rate.version, ordering_key=rate.id)
        return rpc.CreateTaxRateResponse(tax_rate=to_message(rate, pb.TaxRate))

    async def list_tax_rates(
        self, tx: Transaction, request: rpc.ListTaxRatesRequest
    ) -> rpc.ListTaxRatesResponse:
        limit = page_limit(request.page_size)
        after_country, after_region, after = decode_page_token(request.page_token, 3)
        rows = await tax_sql.list_tax_rates(
            tx,
            tenant_id=tx.tenant_id,
            country=request.country,
            after_country=after_country,
            after_region=after_region,
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: (row.country, row.region, row.id))
        return rpc.ListTaxRatesResponse(
            tax_rates=(to_message(row, pb.TaxRate) for row in page), next_page_token=token
        )

    async def archive_tax_rate(
        self, tx: Transaction, request: rpc.ArchiveTaxRateRequest
    ) -> rpc.ArchiveTaxRateResponse:
        """Once; archiving it again changes nothing.

        Raises:
            NotFound: TAX_RATE_NOT_FOUND.
        """
        archived = await tax_sql.mark_tax_rate_archived(
            tx, tenant_id=tx.tenant_id, id=request.tax_rate_id, archived_at=tx.now
        )
        if archived is not None:
            outbox.append(
                tx,
                events.TaxRateArchived(tax_rate_id=archived.id),
                resource_id=archived.id,
                resource_version=archived.version,
                ordering_key=archived.id,
            )
        rate = archived or await tax_sql.find_tax_rate(tx, tenant_id=tx.tenant_id, id=request.tax_rate_id)
        if rate is None:
            raise NotFound(
                "TAX_RATE_NOT_FOUND", "There is no such tax rate.", {"tax_rate_id": request.tax_rate_id}
            )
        return rpc.ArchiveTaxRateResponse(tax_rate=to_message(rate, pb.TaxRate))

    async def get_tax_terms(
        self, tx: Transaction, request: rpc.GetTaxTermsRequest
    ) -> rpc.GetTaxTermsResponse:
        return rpc.GetTaxTermsResponse(terms=await _terms(tx))

    async def set_tax_terms(
        self, tx: Transaction, request: rpc.SetTaxTermsRequest
    ) -> rpc.SetTaxTermsResponse:
        """Nothing changes, and nothing is announced, if they are so already."""
        wanted = pb.TaxTerms()
        wanted.CopyFrom(_DEFAULT_TERMS)
        # What is unspecified is not there to be merged.
        wanted.MergeFrom(request.terms)
        await tx.lock(tx.tenant_id)
        if wanted == await _terms(tx):
            return rpc.SetTaxTermsResponse(terms=wanted)
        row = await tax_sql.upsert_tax_terms(
            tx,
            tenant_id=tx.tenant_id,
            behavior=enum_text(pb.TaxBehavior, wanted.behavior),
            rounding=enum_text(pb.TaxRounding, wanted.rounding),
            credit_application=enum_text(pb.CreditApplication, wanted.credit_application),
        )
        tenant = await tenant_sql.touch_tenant(tx, tenant_id=tx.tenant_id)
        outbox.append(
            tx,
            to_message(row, events.TaxTermsChanged),
            resource_id=tenant.id,
            resource_version=tenant.version,
            ordering_key=tenant.id,
        )
        return rpc.SetTaxTermsResponse(terms=wanted)

    async def set_tax_exemption(
        self, tx: Transaction, request: rpc.SetTaxExemptionRequest
    ) -> rpc.SetTaxExemptionResponse:
        """Nothing changes, and nothing is announced, if it is so already.

        Raises:
            NotFound: CUSTOMER_NOT_FOUND.
        """
        await tx.lock(request.customer_id)
        customer = await find_present_customer(tx, request.customer_id)
        wanted = rpc.SetTaxExemptionResponse(
            exemption=request.exemption, reference=request.reference if request.exemption else ""
        )
        row = await tax_sql.find_tax_exemption(tx, tenant_id=tx.tenant_id, customer_id=customer.id)
        current = to_message(row, rpc.SetTaxExemptionResponse) if row else rpc.SetTaxExemptionResponse()
        if wanted == current:
            return wanted
        if request.exemption:
            await tax_sql.upsert_tax_exemption(
                tx,
                tenant_id=tx.tenant_id,
                customer_id=customer.id,
                exemption=enum_text(pb.TaxExemption, request.exemption),
                reference=request.reference,
            )
        else:
            await tax_sql.delete_tax_exemption(tx, tenant_id=tx.tenant_id, customer_id=customer.id)
        touched = await customer_sql.touch_customer(
            tx, tenant_id=tx.tenant_id, id=customer.id, updated_at=tx.now
        )
        outbox.append(
            tx,
            events.TaxExemptionChanged(customer_id=customer.id, exemption=request.exemption),
            resource_id=customer.id,
            resource_version=touched.version,
            ordering_key=customer.id,
        )
        return wanted

    async def get_tax_exemption(
        self, tx: Transaction, request: rpc.GetTaxExemptionRequest
    ) -> rpc.GetTaxExemptionResponse:
        """Raises NotFound (CUSTOMER_NOT_FOUND)."""
        customer = await find_customer(tx, request.customer_id)
        row = await tax_sql.find_tax_exemption(tx, tenant_id=tx.tenant_id, customer_id=customer.id)
        if row is None:
            return rpc.GetTaxExemptionResponse()
        return to_message(row, rpc.GetTaxExemptionResponse)


_DEFAULT_TERMS = pb.TaxTerms(
    behavior=pb.TAX_BEHAVIOR_EXCLUSIVE,
    rounding=pb.TAX_ROUNDING_PER_INVOICE,
    credit_application=pb.CREDIT_APPLICATION_BEFORE_TAX,
)


async def _terms(tx: Transaction) -> pb.TaxTerms:
    row = await tax_sql.find_tax_terms(tx, tenant_id=tx.tenant_id)
    return to_message(row, pb.TaxTerms) if row else _DEFAULT_TERMS
