"""All use cases of the platform, what they need of each other, and the doors that lead to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from corebilling import policies
from corebilling.config import Settings
from corebilling.domains.access.explanation_service import ExplanationService
from corebilling.domains.access.service import AccessService
from corebilling.domains.access.servicer import AccessServicer
from corebilling.domains.audit.service import AuditService
from corebilling.domains.audit.servicer import AuditServicer
from corebilling.domains.audit.signing import HeadSigner, TrustedKeys, public_key_of
from corebilling.domains.branding.service import BrandingService
from corebilling.domains.branding.servicer import BrandingServicer
from corebilling.domains.catalog.override_service import PriceOverrideService
from corebilling.domains.catalog.service import CatalogService
from corebilling.domains.catalog.servicer import CatalogServicer, PriceOverrideServicer
from corebilling.domains.credit.service import EXPIRY, CreditService
from corebilling.domains.credit.servicer import CreditServicer
from corebilling.domains.customer.service import CustomerService
from corebilling.domains.customer.servicer import CustomerServicer
from corebilling.domains.dead_letter.service import EventAdminService
from corebilling.domains.dead_letter.servicer import EventAdminServicer
from corebilling.domains.discount.service import DiscountService
from corebilling.domains.discount.servicer import DiscountServicer
from corebilling.domains.event.service import EventService
from corebilling.domains.event.servicer import EventServicer
from corebilling.domains.invoice.bundle_service import BundleService
from corebilling.domains.invoice.credit_note_service import CreditNoteService
from corebilling.domains.invoice.finalizing import Finalizer, InvoicePolicy
from corebilling.domains.invoice.handlers import InvoiceHandlers
from corebilling.domains.invoice.hosted import HostedInvoices
from corebilling.domains.invoice.making import InvoiceMaker
from corebilling.domains.invoice.payment_service import PaymentService
from corebilling.domains.invoice.preview_service import PreviewService
from corebilling.domains.invoice.printing import InvoicePrinter
from corebilling.domains.invoice.rerating_service import ReratingService
from corebilling.domains.invoice.service import InvoiceService
from corebilling.domains.invoice.servicer import InvoiceServicer
from corebilling.domains.ledger.deferral_service import RECOGNITION, DeferralService
from corebilling.domains.ledger.service import LedgerService
from corebilling.domains.ledger.servicer import LedgerServicer
from corebilling.domains.quota.entitlement_service import EntitlementService
from corebilling.domains.quota.handlers import QuotaHandlers
from corebilling.domains.quota.service import QuotaService
from corebilling.domains.quota.servicer import EntitlementServicer, QuotaServicer
from corebilling.domains.quota.view import HolderView
from corebilling.domains.rating.handlers import RatingHandlers
from corebilling.domains.rating.service import RatingService
from corebilling.domains.rating.servicer import RatingServicer
from corebilling.domains.replay.service import ReplayService
from corebilling.domains.replay.servicer import ReplayServicer
from corebilling.domains.schedule.dues import Settle
from corebilling.domains.schedule.service import ScheduleService
from corebilling.domains.schedule.servicer import ScheduleServicer
from corebilling.domains.subscription.service import SubscriptionPolicy, SubscriptionService
from corebilling.domains.subscription.servicer import SubscriptionServicer
from corebilling.domains.tax.service import TaxService
from corebilling.domains.tax.servicer import TaxServicer
from corebilling.domains.tenant.service import TenantService
from corebilling.domains.tenant.servicer import TenantServicer
from corebilling.domains.usage.corrections import CorrectionService
from corebilling.domains.usage.handlers import UsageHandlers
from corebilling.domains.usage.service import UsageService
from corebilling.domains.usage.servicer import UsageServicer
from corebilling.domains.webhook.delivery_service import WebhookDeliveryService
from corebilling.domains.webhook.handlers import WebhookHandlers
from corebilling.domains.webhook.service import WebhookService
from corebilling.domains.webhook.servicer import WebhookServicer
from corebilling.events.handling import Handler
from corebilling.events.tail import Tail
from corebilling.rpc.door import Door
from corebilling.rpc.method import find_method
from corebilling.rpc.tokens import Tokens
from corebilling.secrets import Secrets
from corebilling.values.subject import ANY_SUBJECT


@dataclass(frozen=True, slots=True)
class Services:
    """Those that more than their own door calls."""

    access: AccessService
    audit: AuditService
    invoices: InvoiceService
    maker: InvoiceMaker
    ledger: LedgerService
    rating: RatingService
    schedule: ScheduleService
    subscriptions: SubscriptionService
    usage: UsageService
    webhooks: WebhookService

    @staticmethod
    def of(settings: Settings, secrets: Secrets) -> "Services":
        rating, ledger = RatingService(), LedgerService()
        subscriptions = SubscriptionService(SubscriptionPolicy(grace_s=settings.billing_grace_seconds))
        policy = InvoicePolicy(settings.invoice_number_prefix, settings.invoice_due_days)
        finalizer = Finalizer(ledger, policy)
        maker = InvoiceMaker(ledger, finalizer, settings.invoice_tax_rate)
        return Services(
            access=AccessService(secrets),
            audit=_audit(settings, HeadSigner(secrets.audit_seed)),
            invoices=InvoiceService(ledger, maker, finalizer),
            maker=maker,
            ledger=ledger,
            rating=rating,
            schedule=ScheduleService(subscriptions),
            subscriptions=subscriptions,
            usage=UsageService(
                subscriptions,
                back=timedelta(days=settings.usage_max_age_days),
                ahead=timedelta(seconds=settings.usage_max_ahead_seconds),
                grace=timedelta(seconds=settings.billing_grace_seconds),
            ),
            webhooks=WebhookService(secrets, policies.webhook_policy(settings)),
        )

    def servicers(
        self,
        door: Door,
        tail: Tail,
        view: HolderView,
        table: Mapping[str, Sequence[Handler]],
        settings: Settings,
        printer: InvoicePrinter,
        hosted: HostedInvoices,
        tokens: Tokens,
    ) -> Mapping[str, object]:
        """By the full names of their services."""
        names = {subject: [one.name for one in several] for subject, several in table.items()}
        stream_s = policies.stream_s(settings)
        return {
            "billing.access.v1.AccessService": AccessServicer(
                door, self.access, ExplanationService(find_method, tokens)
            ),
            "billing.audit.v1.AuditService": AuditServicer(door, self.audit),
            "billing.branding.v1.BrandingService": BrandingServicer(door, BrandingService()),
            "billing.catalog.v1.CatalogService": CatalogServicer(door, CatalogService()),
            "billing.catalog.v1.PriceOverrideService": PriceOverrideServicer(door, PriceOverrideService()),
            "billing.credit.v1.CreditService": CreditServicer(door, CreditService(self.ledger)),
            "billing.customer.v1.CustomerService": CustomerServicer(door, CustomerService()),
            "billing.discount.v1.DiscountService": DiscountServicer(door, DiscountService()),
            "billing.event.v1.EventAdminService": EventAdminServicer(door, EventAdminService()),
            "billing.event.v1.EventService": EventServicer(door, EventService(names), tail),
            "billing.invoice.v1.InvoiceService": InvoiceServicer(
                door,
                self.invoices,
                PaymentService(self.ledger),
                CreditNoteService(self.ledger),
                PreviewService(self.maker, self.rating, self.schedule, self.subscriptions, DiscountService()),
                printer,
                hosted,
                ReratingService(self.maker),
                BundleService(self.ledger),
            ),
            "billing.ledger.v1.LedgerService": LedgerServicer(door, self.ledger),
            "billing.quota.v1.EntitlementService": EntitlementServicer(door, EntitlementService(), view),
            "billing.quota.v1.QuotaService": QuotaServicer(door, QuotaService()),
            "billing.rating.v1.RatingService": RatingServicer(door, self.rating),
            "billing.replay.v1.ReplayService": ReplayServicer(door, ReplayService(names), stream_s=stream_s),
            "billing.schedule.v1.ScheduleService": ScheduleServicer(door, self.schedule),
            "billing.subscription.v1.SubscriptionService": SubscriptionServicer(door, self.subscriptions),
            "billing.tax.v1.TaxService": TaxServicer(door, TaxService()),
            "billing.tenant.v1.TenantService": TenantServicer(door, TenantService()),
            "billing.usage.v1.UsageService": UsageServicer(
                door,
                self.usage,
                CorrectionService(grace=timedelta(seconds=settings.billing_grace_seconds)),
            ),
            "billing.webhook.v1.WebhookService": WebhookServicer(
                door, self.webhooks, WebhookDeliveryService()
            ),
        }

    def dues(self) -> Mapping[str, Settle]:
        """How what falls due in the books is settled."""
        return {
            EXPIRY: CreditService(self.ledger).expire,
            RECOGNITION: DeferralService(self.ledger).recognize,
        }

    def handler_table(self) -> Mapping[str, Sequence[Handler]]:
        """Which event leads to what: the map of the platform. A handler's name is kept with its watermark."""
        on_rating, on_invoice = RatingHandlers(self.rating), InvoiceHandlers(self.maker)
        on_usage, on_event = UsageHandlers(self.usage), WebhookHandlers()
        on_quota = QuotaHandlers(QuotaService())
        return {
            "usage.reported": [
                Handler("rating.on_usage_reported", on_rating.on_usage_reported),
                Handler("quota.on_usage_reported", on_quota.on_usage_reported, on_quota.on_usages_reported),
            ],
            "usage.retracted": [Handler("rating.on_usage_retracted", on_rating.on_usage_retracted)],
            "usage.corrected": [
                Handler("rating.on_usage_corrected", on_rating.on_usage_corrected),
                Handler("quota.on_usage_corrected", on_quota.on_usage_corrected),
            ],
            "billing.cycle.closed": [
                Handler(
                    "rating.on_billing_cycle_closed",
                    on_rating.on_billing_cycle_closed,
                    on_rating.on_billing_cycles_closed,
                )
            ],
            "rating.completed": [
                Handler(
                    "invoice.on_rating_completed",
                    on_invoice.on_rating_completed,
                    on_invoice.on_ratings_completed,
                )
            ],
            "invoice.generated": [Handler("usage.on_invoice_generated", on_usage.on_invoice_generated)],
            ANY_SUBJECT: [Handler("webhook.on_any_event", on_event.on_any_event, on_event.on_any_events)],
        }


def _audit(settings: Settings, signer: HeadSigner) -> AuditService:
    former = [public_key_of(key) for key in settings.audit_former_keys.split(",") if key]
    keys = TrustedKeys([signer.public_key, *former])
    return AuditService(signer.public_key, keys, settings.audit_seal_seconds)
