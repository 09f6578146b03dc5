"""Invoices where customers see them: pages behind links that cannot be guessed.

A link holds all that leads to its invoice, sealed: nothing is stored for it, and it ends by itself. All links
of an invoice can be ended earlier, together: each says of which generation it is.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web
from billing.invoice.v1 import invoice_events_pb2 as events
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing_db import invoice as invoice_sql

from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.customer.rows import find_present_customer
from corebilling.domains.invoice import records
from corebilling.domains.invoice.facts import InvoiceFacts, read_facts
from corebilling.domains.invoice.printing import InvoicePrinter, file_name
from corebilling.errors import BillingError, NotFound
from corebilling.mapping import timestamp
from corebilling.secrets import Secrets, SecretUnreadable
from corebilling.values.caller import Caller

_VALID_DAYS = 90
# Prints at once, and those that wait for their turn: beyond that, callers are asked to come back.
_MAX_PRINTING = 2
_MAX_WAITING = 64
_RETRY_AFTER_S = "2"
_HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


@dataclass(frozen=True, slots=True)
class _Link:
    tenant_id: str
    invoice_id: str
    expires_at: datetime
    generation: int


class HostedInvoices:
    """Makes links to invoices, and serves what they lead to.

    Args:
        public_url: Where customers reach this server's HTTP port.
    """

    def __init__(
        self,
        database: Database,
        printer: InvoicePrinter,
        secrets: Secrets,
        public_url: Callable[[], str],
    ) -> None:
        self._database = database
        self._printer = printer
        self._secrets = secrets
        self._public_url = public_url
        self._printing = asyncio.Semaphore(_MAX_PRINTING)
        self._waiting = 0

    async def share_invoice(
        self, tx: Transaction, request: rpc.ShareInvoiceRequest
    ) -> rpc.ShareInvoiceResponse:
        """Raises NotFound (INVOICE_NOT_FOUND), FailedPrecondition (CUSTOMER_ERASED)."""
        invoice = await records.find(tx, request.invoice_id)
        await find_present_customer(tx, invoice.customer_id)
        # The system clock's: people open links in their own time, also those of a sandbox tenant.
        expires_at = (tx.now + timedelta(days=request.valid_days or _VALID_DAYS)).replace(microsecond=0)
        content = json.dumps([tx.tenant_id, invoice.id, int(expires_at.timestamp()), invoice.link_generation])
        url = f"{self._public_url()}/invoices/{self._secrets.seal_link(content.encode())}"
        return rpc.ShareInvoiceResponse(url=url, expires_at=timestamp(expires_at))

    async def revoke_invoice_links(
        self, tx: Transaction, request: rpc.RevokeInvoiceLinksRequest
    ) -> rpc.RevokeInvoiceLinksResponse:
        """Raises NotFound (INVOICE_NOT_FOUND)."""
        invoice = await records.find_locked(tx, request.invoice_id)
        revoked = await invoice_sql.mark_invoice_links_revoked(tx, tenant_id=tx.tenant_id, id=invoice.id)
        assert revoked is not None, "it was found, and invoices are never deleted"
        announced = events.InvoiceLinksRevoked(invoice_id=revoked.id, number=revoked.number or "")
        records.announce(tx, revoked, [announced], first=revoked.version)
        return rpc.RevokeInvoiceLinksResponse()

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.get("/invoices/{link}", self._page), web.get("/invoices/{link}/pdf", self._pdf)]

    async def _page(self, request: web.Request) -> web.Response:
        link = request.match_info["link"]
        async with self._turn():
            facts = await self._facts(link)
            # Relative, so that it holds behind any proxy.
            page = await asyncio.to_thread(self._printer.html, facts, pdf_url=f"{link}/pdf")
        return web.Response(text=page, content_type="text/html", headers=_HEADERS)

    async def _pdf(self, request: web.Request) -> web.Response:
        async with self._turn():
            facts = await self._facts(request.match_info["link"])
            pdf = await asyncio.to_thread(self._printer.pdf, facts)
        named = {"Content-Disposition": f'inline; filename="{file_name(facts.invoice)}"'}
        return web.Response(body=pdf, content_type="application/pdf", headers=_HEADERS | named)

    async def _facts(self, text: str) -> InvoiceFacts:
        """Raises web.HTTPNotFound, in the same words whatever the reason, or web.HTTPServiceUnavailable."""
        try:
            link = _read(self._secrets.open_link(text))
            caller = Caller(link.tenant_id, actor="link:invoice", role="link", permissions=frozenset())
            async with self._database.transaction(caller) as tx:
                invoice = await records.find(tx, link.invoice_id)
                facts = await read_facts(tx, rpc.RenderInvoiceRequest(invoice_id=invoice.id))
                revoked = link.generation != invoice.link_generation
                # The invoice still says who was erased: to the tenant, whatever links are about.
                if tx.now >= link.expires_at or revoked or facts.customer.erased_at is not None:
                    raise _not_here()
                return facts
        except (SecretUnreadable, NotFound) as error:
            raise _not_here() from error
        except BillingError as error:
            raise _come_back() from error

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= _MAX_WAITING:
            raise _come_back()
        self._waiting += 1
        try:
            async with self._printing:
                yield
        finally:
            self._waiting -= 1


def _read(content: bytes) -> _Link:
    tenant_id, invoice_id, expires, generation = json.loads(content)
    return _Link(tenant_id, invoice_id, datetime.fromtimestamp(expires, UTC), generation)


def _not_here() -> web.HTTPNotFound:
    return web.HTTPNotFound(
        text="There is no invoice here, or not any more. Ask who sent it for a new link.\n", headers=_HEADERS
    )


def _come_back() -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(
        text="The invoice cannot be shown just now. Please try again.\n",
        headers=_HEADERS | {"Retry-After": _RETRY_AFTER_S},
    )
