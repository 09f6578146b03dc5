import datetime

from billing.invoice.v1 import bundle_pb2 as _bundle_pb2
from billing.invoice.v1 import invoice_pb2 as _invoice_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from billing.rating.v1 import rating_pb2 as _rating_pb2
from billing.subscription.v1 import subscription_service_pb2 as _subscription_service_pb2
from billing.types.v1 import language_pb2 as _language_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvoiceFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVOICE_FORMAT_UNSPECIFIED: _ClassVar[InvoiceFormat]
    INVOICE_FORMAT_PDF: _ClassVar[InvoiceFormat]
    INVOICE_FORMAT_HTML: _ClassVar[InvoiceFormat]
INVOICE_FORMAT_UNSPECIFIED: InvoiceFormat
INVOICE_FORMAT_PDF: InvoiceFormat
INVOICE_FORMAT_HTML: InvoiceFormat

class GetInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "invoice_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    invoice_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., invoice_id: _Optional[str] = ...) -> None: ...

class GetInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class ListInvoicesRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "customer_id", "subscription_id", "state")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    customer_id: str
    subscription_id: str
    state: _invoice_pb2.InvoiceState
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., state: _Optional[_Union[_invoice_pb2.InvoiceState, str]] = ...) -> None: ...

class ListInvoicesResponse(_message.Message):
    __slots__ = ("invoices", "next_page_token")
    INVOICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invoices: _containers.RepeatedCompositeFieldContainer[_invoice_pb2.Invoice]
    next_page_token: str
    def __init__(self, invoices: _Optional[_Iterable[_Union[_invoice_pb2.Invoice, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PreviewInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "subscription_id", "create", "change", "cancel", "pause", "resume", "coupon_code", "assumed_usage")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CREATE_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    COUPON_CODE_FIELD_NUMBER: _ClassVar[int]
    ASSUMED_USAGE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    subscription_id: str
    create: _subscription_service_pb2.CreateSubscriptionRequest
    change: _subscription_service_pb2.ChangeSubscriptionRequest
    cancel: _subscription_service_pb2.CancelSubscriptionRequest
    pause: _subscription_service_pb2.PauseSubscriptionRequest
    resume: _subscription_service_pb2.ResumeSubscriptionRequest
    coupon_code: str
    assumed_usage: _containers.RepeatedCompositeFieldContainer[AssumedUsage]
    def __init__(self, tenant_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., create: _Optional[_Union[_subscription_service_pb2.CreateSubscriptionRequest, _Mapping]] = ..., change: _Optional[_Union[_subscription_service_pb2.ChangeSubscriptionRequest, _Mapping]] = ..., cancel: _Optional[_Union[_subscription_service_pb2.CancelSubscriptionRequest, _Mapping]] = ..., pause: _Optional[_Union[_subscription_service_pb2.PauseSubscriptionRequest, _Mapping]] = ..., resume: _Optional[_Union[_subscription_service_pb2.ResumeSubscriptionRequest, _Mapping]] = ..., coupon_code: _Optional[str] = ..., assumed_usage: _Optional[_Iterable[_Union[AssumedUsage, _Mapping]]] = ...) -> None: ...

class AssumedUsage(_message.Message):
    __slots__ = ("meter_code", "quantity")
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    meter_code: str
    quantity: str
    def __init__(self, meter_code: _Optional[str] = ..., quantity: _Optional[str] = ...) -> None: ...

class PreviewInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class FinalizeInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ...) -> None: ...

class FinalizeInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class VoidInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ...) -> None: ...

class VoidInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class WriteOffInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ...) -> None: ...

class WriteOffInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class RecordPaymentRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id", "amount_minor", "currency", "reference")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    amount_minor: int
    currency: str
    reference: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., amount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., reference: _Optional[str] = ...) -> None: ...

class RecordPaymentResponse(_message.Message):
    __slots__ = ("payment", "invoice")
    PAYMENT_FIELD_NUMBER: _ClassVar[int]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    payment: _invoice_pb2.InvoicePayment
    invoice: _invoice_pb2.Invoice
    def __init__(self, payment: _Optional[_Union[_invoice_pb2.InvoicePayment, _Mapping]] = ..., invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class ApplyCreditsRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ...) -> None: ...

class ApplyCreditsResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class RenderInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "invoice_id", "language", "format")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    invoice_id: str
    language: _language_pb2.Language
    format: InvoiceFormat
    def __init__(self, tenant_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., language: _Optional[_Union[_language_pb2.Language, str]] = ..., format: _Optional[_Union[InvoiceFormat, str]] = ...) -> None: ...

class RenderInvoiceResponse(_message.Message):
    __slots__ = ("pdf", "file_name", "html")
    PDF_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    HTML_FIELD_NUMBER: _ClassVar[int]
    pdf: bytes
    file_name: str
    html: str
    def __init__(self, pdf: _Optional[bytes] = ..., file_name: _Optional[str] = ..., html: _Optional[str] = ...) -> None: ...

class ShareInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id", "valid_days")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    VALID_DAYS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    valid_days: int
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., valid_days: _Optional[int] = ...) -> None: ...

class ShareInvoiceResponse(_message.Message):
    __slots__ = ("url", "expires_at")
    URL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    url: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, url: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RevokeInvoiceLinksRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ...) -> None: ...

class RevokeInvoiceLinksResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OneTimeItem(_message.Message):
    __slots__ = ("description", "quantity", "unit_amount", "tax_category", "service_period")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TAX_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    SERVICE_PERIOD_FIELD_NUMBER: _ClassVar[int]
    description: str
    quantity: str
    unit_amount: str
    tax_category: str
    service_period: _period_pb2.Period
    def __init__(self, description: _Optional[str] = ..., quantity: _Optional[str] = ..., unit_amount: _Optional[str] = ..., tax_category: _Optional[str] = ..., service_period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ...) -> None: ...

class CreateInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "customer_id", "items", "description", "finalize")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    customer_id: str
    items: _containers.RepeatedCompositeFieldContainer[OneTimeItem]
    description: str
    finalize: bool
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[OneTimeItem, _Mapping]]] = ..., description: _Optional[str] = ..., finalize: _Optional[bool] = ...) -> None: ...

class CreateInvoiceResponse(_message.Message):
    __slots__ = ("invoice",)
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    invoice: _invoice_pb2.Invoice
    def __init__(self, invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class ReissueInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id", "finalize")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    finalize: bool
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., finalize: _Optional[bool] = ...) -> None: ...

class ReissueInvoiceResponse(_message.Message):
    __slots__ = ("voided", "invoice")
    VOIDED_FIELD_NUMBER: _ClassVar[int]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    voided: _invoice_pb2.Invoice
    invoice: _invoice_pb2.Invoice
    def __init__(self, voided: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ..., invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class IssueCreditNoteRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "invoice_id", "items", "reason")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    invoice_id: str
    items: _containers.RepeatedCompositeFieldContainer[_invoice_pb2.CreditNoteItem]
    reason: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_invoice_pb2.CreditNoteItem, _Mapping]]] = ..., reason: _Optional[str] = ...) -> None: ...

class IssueCreditNoteResponse(_message.Message):
    __slots__ = ("credit_note", "invoice")
    CREDIT_NOTE_FIELD_NUMBER: _ClassVar[int]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    credit_note: _invoice_pb2.CreditNote
    invoice: _invoice_pb2.Invoice
    def __init__(self, credit_note: _Optional[_Union[_invoice_pb2.CreditNote, _Mapping]] = ..., invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class ListCreditNotesRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "invoice_id", "customer_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    invoice_id: str
    customer_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., invoice_id: _Optional[str] = ..., customer_id: _Optional[str] = ...) -> None: ...

class ListCreditNotesResponse(_message.Message):
    __slots__ = ("credit_notes", "next_page_token")
    CREDIT_NOTES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    credit_notes: _containers.RepeatedCompositeFieldContainer[_invoice_pb2.CreditNote]
    next_page_token: str
    def __init__(self, credit_notes: _Optional[_Iterable[_Union[_invoice_pb2.CreditNote, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RerateCycleRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "cycle_id", "price_id", "corrected_price_id", "reason")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    cycle_id: str
    price_id: str
    corrected_price_id: str
    reason: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., cycle_id: _Optional[str] = ..., price_id: _Optional[str] = ..., corrected_price_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RerateCycleResponse(_message.Message):
    __slots__ = ("charges", "invoice")
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    charges: _containers.RepeatedCompositeFieldContainer[_rating_pb2.ReratedCharge]
    invoice: _invoice_pb2.Invoice
    def __init__(self, charges: _Optional[_Iterable[_Union[_rating_pb2.ReratedCharge, _Mapping]]] = ..., invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class PreviewReratingRequest(_message.Message):
    __slots__ = ("tenant_id", "cycle_id", "price_id", "corrected_price_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    cycle_id: str
    price_id: str
    corrected_price_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., cycle_id: _Optional[str] = ..., price_id: _Optional[str] = ..., corrected_price_id: _Optional[str] = ...) -> None: ...

class PreviewReratingResponse(_message.Message):
    __slots__ = ("charges", "invoice")
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    charges: _containers.RepeatedCompositeFieldContainer[_rating_pb2.ReratedCharge]
    invoice: _invoice_pb2.Invoice
    def __init__(self, charges: _Optional[_Iterable[_Union[_rating_pb2.ReratedCharge, _Mapping]]] = ..., invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ...) -> None: ...

class ListReratedChargesRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "cycle_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    cycle_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., cycle_id: _Optional[str] = ...) -> None: ...

class ListReratedChargesResponse(_message.Message):
    __slots__ = ("charges", "next_page_token")
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    charges: _containers.RepeatedCompositeFieldContainer[_rating_pb2.ReratedCharge]
    next_page_token: str
    def __init__(self, charges: _Optional[_Iterable[_Union[_rating_pb2.ReratedCharge, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExplainLineRequest(_message.Message):
    __slots__ = ("tenant_id", "invoice_line_id", "page_size", "page_token")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_LINE_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    invoice_line_id: str
    page_size: int
    page_token: str
    def __init__(self, tenant_id: _Optional[str] = ..., invoice_line_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ExplainLineResponse(_message.Message):
    __slots__ = ("explanation", "records", "next_page_token")
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    explanation: _bundle_pb2.LineExplanation
    records: _containers.RepeatedCompositeFieldContainer[_bundle_pb2.RatedRecord]
    next_page_token: str
    def __init__(self, explanation: _Optional[_Union[_bundle_pb2.LineExplanation, _Mapping]] = ..., records: _Optional[_Iterable[_Union[_bundle_pb2.RatedRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExportInvoiceRequest(_message.Message):
    __slots__ = ("tenant_id", "invoice_id", "with_records", "page_size", "page_token")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    WITH_RECORDS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    invoice_id: str
    with_records: bool
    page_size: int
    page_token: str
    def __init__(self, tenant_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., with_records: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ExportInvoiceResponse(_message.Message):
    __slots__ = ("part", "next_page_token")
    PART_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    part: _bundle_pb2.InvoiceBundle
    next_page_token: str
    def __init__(self, part: _Optional[_Union[_bundle_pb2.InvoiceBundle, _Mapping]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
