"""gRPC door of invoices."""

import asyncio

from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceServicer

from corebilling.domains.invoice.bundle_service import BundleService
from corebilling.domains.invoice.credit_note_service import CreditNoteService
from corebilling.domains.invoice.facts import read_facts
from corebilling.domains.invoice.hosted import HostedInvoices
from corebilling.domains.invoice.payment_service import PaymentService
from corebilling.domains.invoice.preview_service import PreviewService
from corebilling.domains.invoice.printing import InvoicePrinter, file_name
from corebilling.domains.invoice.rerating_service import ReratingService
from corebilling.domains.invoice.service import InvoiceService
from corebilling.rpc.door import Context, Door


class InvoiceServicer(InvoiceServiceServicer):
    def __init__(
        self,
        door: Door,
        invoices: InvoiceService,
        payments: PaymentService,
        notes: CreditNoteService,
        previews: PreviewService,
        printer: InvoicePrinter,
        hosted: HostedInvoices,
        reratings: ReratingService,
        bundles: BundleService,
    ) -> None:
        self._door = door
        self._invoices = invoices
        self._payments = payments
        self._notes = notes
        self._previews = previews
        self._printer = printer
        self._hosted = hosted
        self._reratings = reratings
        self._bundles = bundles

    async def GetInvoice(self, request: rpc.GetInvoiceRequest, context: Context) -> rpc.GetInvoiceResponse:
        return await self._door.read(request, self._invoices.get_invoice)

    async def ListInvoices(
        self, request: rpc.ListInvoicesRequest, context: Context
    ) -> rpc.ListInvoicesResponse:
        return await self._door.read(request, self._invoices.list_invoices)

    async def PreviewInvoice(
        self, request: rpc.PreviewInvoiceRequest, context: Context
    ) -> rpc.PreviewInvoiceResponse:
        return await self._door.read(request, self._previews.preview_invoice)

    async def FinalizeInvoice(
        self, request: rpc.FinalizeInvoiceRequest, context: Context
    ) -> rpc.FinalizeInvoiceResponse:
        return await self._door.write(request, self._invoices.finalize_invoice)

    async def VoidInvoice(self, request: rpc.VoidInvoiceRequest, context: Context) -> rpc.VoidInvoiceResponse:
        return await self._door.write(request, self._invoices.void_invoice)

    async def WriteOffInvoice(
        self, request: rpc.WriteOffInvoiceRequest, context: Context
    ) -> rpc.WriteOffInvoiceResponse:
        return await self._door.write(request, self._payments.write_off_invoice)

    async def CreateInvoice(
        self, request: rpc.CreateInvoiceRequest, context: Context
    ) -> rpc.CreateInvoiceResponse:
        return await self._door.write(request, self._invoices.create_invoice)

    async def ReissueInvoice(
        self, request: rpc.ReissueInvoiceRequest, context: Context
    ) -> rpc.ReissueInvoiceResponse:
        return await self._door.write(request, self._invoices.reissue_invoice)

    async def IssueCreditNote(
        self, request: rpc.IssueCreditNoteRequest, context: Context
    ) -> rpc.IssueCreditNoteResponse:
        return await self._door.write(request, self._notes.issue_credit_note)

    async def ListCreditNotes(
        self, request: rpc.ListCreditNotesRequest, context: Context
    ) -> rpc.ListCreditNotesResponse:
        return await self._door.read(request, self._notes.list_credit_notes)

    async def RerateCycle(self, request: rpc.RerateCycleRequest, context: Context) -> rpc.RerateCycleResponse:
        return await self._door.write(request, self._reratings.rerate_cycle)

    async def PreviewRerating(
        self, request: rpc.PreviewReratingRequest, context: Context
    ) -> rpc.PreviewReratingResponse:
        return await self._door.read(request, self._reratings.preview_rerating)

    async def ListReratedCharges(
        self, request: rpc.ListReratedChargesRequest, context: Context
    ) -> rpc.ListReratedChargesResponse:
        return await self._door.read(request, self._reratings.list_rerated_charges)

    async def RecordPayment(
        self, request: rpc.RecordPaymentRequest, context: Context
    ) -> rpc.RecordPaymentResponse:
        return await self._door.write(request, self._payments.record_payment)

    async def ApplyCredits(
        self, request: rpc.ApplyCreditsRequest, context: Context
    ) -> rpc.ApplyCreditsResponse:
        return await self._door.write(request, self._payments.apply_credits)

    async def ExplainLine(self, request: rpc.ExplainLineRequest, context: Context) -> rpc.ExplainLineResponse:
        return await self._door.read(request, self._bundles.explain_line)

    async def ExportInvoice(
        self, request: rpc.ExportInvoiceRequest, context: Context
    ) -> rpc.ExportInvoiceResponse:
        return await self._door.read(request, self._bundles.export_invoice)

    async def RenderInvoice(
        self, request: rpc.RenderInvoiceRequest, context: Context
    ) -> rpc.RenderInvoiceResponse:
        facts = await self._door.read(request, read_facts)
        if request.format == rpc.INVOICE_FORMAT_HTML:
            return rpc.RenderInvoiceResponse(html=await asyncio.to_thread(self._printer.html, facts))
        pdf = await asyncio.to_thread(self._printer.pdf, facts)
        return rpc.RenderInvoiceResponse(pdf=pdf, file_name=file_name(facts.invoice))

    async def ShareInvoice(
        self, request: rpc.ShareInvoiceRequest, context: Context
    ) -> rpc.ShareInvoiceResponse:
        return await self._door.write(request, self._hosted.share_invoice)

    async def RevokeInvoiceLinks(
        self, request: rpc.RevokeInvoiceLinksRequest, context: Context
    ) -> rpc.RevokeInvoiceLinksResponse:
        return await self._door.write(request, self._hosted.revoke_invoice_links)
