"""Invoice bundles as files: one JSON document, the same bytes for the same bundle."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

from billing.invoice.v1 import bundle_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from google.protobuf import json_format

from corebilling.client import Client
from corebilling.domains.invoice.bundle_reading import BUNDLE_VERSION, Unreadable

_PAGE_ROWS = 500


class Changed(Exception):
    """The invoice changed while it was exported."""


def bundle_text(bundle: bundle_pb2.InvoiceBundle) -> str:
    """The document: names as in the contract, in the order of the alphabet; what is not set left out."""
    fields = json_format.MessageToDict(bundle, preserving_proto_field_name=True)
    return json.dumps(fields, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def read_bundle(file: Path) -> bundle_pb2.InvoiceBundle:
    """The bundle of a document.

    Raises:
        Unreadable: It is none, or of a version that this program does not know.
    """
    try:
        text = file.read_text("utf-8")
        fields = json.loads(text)
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}.") from None
    except RecursionError:
        raise Unreadable(f"{file} is nested too deeply.") from None
    except ValueError as error:
        raise Unreadable(f"{file} is not JSON: {error}.") from None
    if not isinstance(fields, dict) or "invoice" not in fields:
        raise Unreadable(f"{file} is no invoice bundle: make one with `corebilling invoice export`.")
    if (version := fields.get("bundle_version")) != BUNDLE_VERSION:
        raise Unreadable(
            f"{file} is a bundle of version {version}; this program reads version {BUNDLE_VERSION}."
        )
    try:
        return json_format.ParseDict(fields, bundle_pb2.InvoiceBundle())
    except (json_format.ParseError, OverflowError, UnicodeError, RecursionError) as error:
        raise Unreadable(f"{file} has something that no invoice bundle has: {error}.") from None


async def export(
    client: Client, tenant_id: str, invoice_id: str, *, with_records: bool
) -> bundle_pb2.InvoiceBundle:
    """The invoice's bundle, part after part.

    Raises:
        Changed: The invoice changed in between.
    """
    bundle = bundle_pb2.InvoiceBundle()
    request = rpc.ExportInvoiceRequest(
        tenant_id=tenant_id, invoice_id=invoice_id, with_records=with_records, page_size=_PAGE_ROWS
    )
    async for part in _parts(client, request):
        if bundle.bundle_version and part.invoice.version != bundle.invoice.version:
            raise Changed
        bundle.MergeFrom(part)
    return bundle


async def _parts(
    client: Client, request: rpc.ExportInvoiceRequest
) -> AsyncIterator[bundle_pb2.InvoiceBundle]:
    stub = client.stub(InvoiceServiceStub)
    while True:
        answer = await stub.ExportInvoice(request)
        yield answer.part
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token
