"""Use cases of branding: how a tenant's invoices look."""

import json

import typst
from billing.branding.v1 import branding_events_pb2 as events
from billing.branding.v1 import branding_pb2 as pb
from billing.branding.v1 import branding_service_pb2 as rpc
from billing.types.v1 import language_pb2
from billing_db import branding as branding_sql
from billing_db import tenant as tenant_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.branding.model import check_logo, logo_invalid
from corebilling.events import outbox
from corebilling.mapping import enum_text, to_message

_LOGO_ALONE = (
    b'#set page(width: auto, height: auto)\n#image(bytes(json(bytes(sys.inputs.logo))), format: "png")'
)


class BrandingService:
    """Keeps a tenant's branding. `check_printable` is apart, for it takes the processor a while."""

    async def get_branding(self, tx: Transaction, request: rpc.GetBrandingRequest) -> rpc.GetBrandingResponse:
        return rpc.GetBrandingResponse(branding=await find_branding(tx))

    async def set_branding(self, tx: Transaction, request: rpc.SetBrandingRequest) -> rpc.SetBrandingResponse:
        """Nothing changes, and nothing is announced, if it is so already."""
        await tx.lock(tx.tenant_id)
        wanted = request.branding
        if wanted == await find_branding(tx):
            return rpc.SetBrandingResponse(branding=wanted)
        await branding_sql.upsert_branding(
            tx,
            tenant_id=tx.tenant_id,
            display_name=wanted.display_name,
            legal_lines=list(wanted.legal_lines),
            tax_id=wanted.tax_id,
            accent_color=wanted.accent_color,
            logo=wanted.logo,
            footer=wanted.footer,
            language=enum_text(language_pb2.Language, wanted.language),
        )
        tenant = await tenant_sql.touch_tenant(tx, tenant_id=tx.tenant_id)
        outbox.append(
            tx,
            events.BrandingChanged(tenant_id=tenant.id),
            resource_id=tenant.id,
            resource_version=tenant.version,
            ordering_key=tenant.id,
        )
        return rpc.SetBrandingResponse(branding=wanted)


async def find_branding(tx: Transaction) -> pb.Branding:
    """The tenant's; empty until it sets one."""
    row = await branding_sql.find_branding(tx, tenant_id=tx.tenant_id)
    return pb.Branding() if row is None else to_message(row, pb.Branding)


def check_printable(logo: bytes) -> None:
    """Prints the logo once, so that no invoice fails by it. Call it off the event loop.

    Raises:
        InvalidArgument: BRANDING_LOGO_INVALID.
    """
    check_logo(logo)
    if not logo:
        return
    try:
        typst.compile(_LOGO_ALONE, format="pdf", sys_inputs={"logo": json.dumps(list(logo))})
    except typst.TypstError as error:
        raise logo_invalid("its image data is damaged") from error
