import datetime

from billing.catalog.v1 import catalog_pb2 as _catalog_pb2
from billing.catalog.v1 import price_override_pb2 as _price_override_pb2
from billing.credit.v1 import credit_pb2 as _credit_pb2
from billing.discount.v1 import discount_pb2 as _discount_pb2
from billing.invoice.v1 import invoice_pb2 as _invoice_pb2
from billing.ledger.v1 import ledger_pb2 as _ledger_pb2
from billing.rating.v1 import rating_pb2 as _rating_pb2
from billing.tax.v1 import tax_pb2 as _tax_pb2
from billing.types.v1 import money_pb2 as _money_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from billing.usage.v1 import usage_pb2 as _usage_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvoiceBundle(_message.Message):
    __slots__ = ("bundle_version", "invoice", "evidence", "coupons", "credits", "tax_rates", "payments", "credit_notes", "journals", "records", "with_records", "corrections")
    BUNDLE_VERSION_FIELD_NUMBER: _ClassVar[int]
    INVOICE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    COUPONS_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    TAX_RATES_FIELD_NUMBER: _ClassVar[int]
    PAYMENTS_FIELD_NUMBER: _ClassVar[int]
    CREDIT_NOTES_FIELD_NUMBER: _ClassVar[int]
    JOURNALS_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    WITH_RECORDS_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    bundle_version: int
    invoice: _invoice_pb2.Invoice
    evidence: _containers.RepeatedCompositeFieldContainer[LineEvidence]
    coupons: _containers.RepeatedCompositeFieldContainer[_discount_pb2.Coupon]
    credits: _containers.RepeatedCompositeFieldContainer[_credit_pb2.Credit]
    tax_rates: _containers.RepeatedCompositeFieldContainer[_tax_pb2.TaxRate]
    payments: _containers.RepeatedCompositeFieldContainer[_invoice_pb2.InvoicePayment]
    credit_notes: _containers.RepeatedCompositeFieldContainer[_invoice_pb2.CreditNote]
    journals: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.Journal]
    records: _containers.RepeatedCompositeFieldContainer[RatedRecord]
    with_records: bool
    corrections: _containers.RepeatedCompositeFieldContainer[CorrectionEvidence]
    def __init__(self, bundle_version: _Optional[int] = ..., invoice: _Optional[_Union[_invoice_pb2.Invoice, _Mapping]] = ..., evidence: _Optional[_Iterable[_Union[LineEvidence, _Mapping]]] = ..., coupons: _Optional[_Iterable[_Union[_discount_pb2.Coupon, _Mapping]]] = ..., credits: _Optional[_Iterable[_Union[_credit_pb2.Credit, _Mapping]]] = ..., tax_rates: _Optional[_Iterable[_Union[_tax_pb2.TaxRate, _Mapping]]] = ..., payments: _Optional[_Iterable[_Union[_invoice_pb2.InvoicePayment, _Mapping]]] = ..., credit_notes: _Optional[_Iterable[_Union[_invoice_pb2.CreditNote, _Mapping]]] = ..., journals: _Optional[_Iterable[_Union[_ledger_pb2.Journal, _Mapping]]] = ..., records: _Optional[_Iterable[_Union[RatedRecord, _Mapping]]] = ..., with_records: _Optional[bool] = ..., corrections: _Optional[_Iterable[_Union[CorrectionEvidence, _Mapping]]] = ...) -> None: ...

class LineEvidence(_message.Message):
    __slots__ = ("invoice_line_id", "charge", "price", "total", "parts", "price_override", "meter")
    INVOICE_LINE_ID_FIELD_NUMBER: _ClassVar[int]
    CHARGE_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    PRICE_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    METER_FIELD_NUMBER: _ClassVar[int]
    invoice_line_id: str
    charge: _rating_pb2.Charge
    price: _catalog_pb2.Price
    total: _usage_pb2.UsageTotal
    parts: _containers.RepeatedCompositeFieldContainer[ChargePart]
    price_override: _price_override_pb2.PriceOverride
    meter: _catalog_pb2.Meter
    def __init__(self, invoice_line_id: _Optional[str] = ..., charge: _Optional[_Union[_rating_pb2.Charge, _Mapping]] = ..., price: _Optional[_Union[_catalog_pb2.Price, _Mapping]] = ..., total: _Optional[_Union[_usage_pb2.UsageTotal, _Mapping]] = ..., parts: _Optional[_Iterable[_Union[ChargePart, _Mapping]]] = ..., price_override: _Optional[_Union[_price_override_pb2.PriceOverride, _Mapping]] = ..., meter: _Optional[_Union[_catalog_pb2.Meter, _Mapping]] = ...) -> None: ...

class CorrectionEvidence(_message.Message):
    __slots__ = ("invoice_line_id", "rerated", "price", "basis", "billed")
    INVOICE_LINE_ID_FIELD_NUMBER: _ClassVar[int]
    RERATED_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    BILLED_FIELD_NUMBER: _ClassVar[int]
    invoice_line_id: str
    rerated: _rating_pb2.ReratedCharge
    price: _catalog_pb2.Price
    basis: _rating_pb2.ChargeBasis
    billed: _containers.RepeatedCompositeFieldContainer[BilledLine]
    def __init__(self, invoice_line_id: _Optional[str] = ..., rerated: _Optional[_Union[_rating_pb2.ReratedCharge, _Mapping]] = ..., price: _Optional[_Union[_catalog_pb2.Price, _Mapping]] = ..., basis: _Optional[_Union[_rating_pb2.ChargeBasis, _Mapping]] = ..., billed: _Optional[_Iterable[_Union[BilledLine, _Mapping]]] = ...) -> None: ...

class BilledLine(_message.Message):
    __slots__ = ("invoice_id", "invoice_number", "invoice_state", "invoice_line_id", "type", "quantity", "amount_minor")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    INVOICE_STATE_FIELD_NUMBER: _ClassVar[int]
    INVOICE_LINE_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    invoice_number: str
    invoice_state: _invoice_pb2.InvoiceState
    invoice_line_id: str
    type: _invoice_pb2.InvoiceLineType
    quantity: str
    amount_minor: int
    def __init__(self, invoice_id: _Optional[str] = ..., invoice_number: _Optional[str] = ..., invoice_state: _Optional[_Union[_invoice_pb2.InvoiceState, str]] = ..., invoice_line_id: _Optional[str] = ..., type: _Optional[_Union[_invoice_pb2.InvoiceLineType, str]] = ..., quantity: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class ChargePart(_message.Message):
    __slots__ = ("charge_id", "kind", "period", "quantity", "amount", "rated_at", "lines")
    CHARGE_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    RATED_AT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    charge_id: str
    kind: _rating_pb2.ChargeKind
    period: _period_pb2.Period
    quantity: str
    amount: str
    rated_at: _timestamp_pb2.Timestamp
    lines: _containers.RepeatedCompositeFieldContainer[PartLine]
    def __init__(self, charge_id: _Optional[str] = ..., kind: _Optional[_Union[_rating_pb2.ChargeKind, str]] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., quantity: _Optional[str] = ..., amount: _Optional[str] = ..., rated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[PartLine, _Mapping]]] = ...) -> None: ...

class PartLine(_message.Message):
    __slots__ = ("invoice_id", "invoice_number", "invoice_state", "invoice_line_id", "amount_minor")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    INVOICE_STATE_FIELD_NUMBER: _ClassVar[int]
    INVOICE_LINE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    invoice_number: str
    invoice_state: _invoice_pb2.InvoiceState
    invoice_line_id: str
    amount_minor: int
    def __init__(self, invoice_id: _Optional[str] = ..., invoice_number: _Optional[str] = ..., invoice_state: _Optional[_Union[_invoice_pb2.InvoiceState, str]] = ..., invoice_line_id: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class RatedRecord(_message.Message):
    __slots__ = ("subscription_item_id", "key", "recorded_at", "quantity", "received_at", "properties", "corrected", "corrected_quantity")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    subscription_item_id: str
    key: str
    recorded_at: _timestamp_pb2.Timestamp
    quantity: str
    received_at: _timestamp_pb2.Timestamp
    properties: _containers.ScalarMap[str, str]
    corrected: bool
    corrected_quantity: str
    def __init__(self, subscription_item_id: _Optional[str] = ..., key: _Optional[str] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quantity: _Optional[str] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., properties: _Optional[_Mapping[str, str]] = ..., corrected: _Optional[bool] = ..., corrected_quantity: _Optional[str] = ...) -> None: ...

class LineExplanation(_message.Message):
    __slots__ = ("invoice_id", "invoice_number", "invoice_state", "currency", "line", "evidence", "exact_amount", "rounding_minor", "discounts", "credits", "taxable_minor", "taxes", "tax_behavior", "terms", "correction", "corrected_amount", "corrected_tiers", "corrected_steps")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    INVOICE_STATE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    EXACT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_MINOR_FIELD_NUMBER: _ClassVar[int]
    DISCOUNTS_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    TAXABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAXES_FIELD_NUMBER: _ClassVar[int]
    TAX_BEHAVIOR_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_TIERS_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_STEPS_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    invoice_number: str
    invoice_state: _invoice_pb2.InvoiceState
    currency: str
    line: _invoice_pb2.InvoiceLine
    evidence: LineEvidence
    exact_amount: str
    rounding_minor: str
    discounts: _containers.RepeatedCompositeFieldContainer[LineDiscount]
    credits: _containers.RepeatedCompositeFieldContainer[_invoice_pb2.InvoiceCredit]
    taxable_minor: int
    taxes: _containers.RepeatedCompositeFieldContainer[LineTax]
    tax_behavior: _tax_pb2.TaxBehavior
    terms: _invoice_pb2.InvoiceTerms
    correction: CorrectionEvidence
    corrected_amount: str
    corrected_tiers: _containers.RepeatedCompositeFieldContainer[_money_pb2.TierCharge]
    corrected_steps: _containers.RepeatedCompositeFieldContainer[_money_pb2.ChargeStep]
    def __init__(self, invoice_id: _Optional[str] = ..., invoice_number: _Optional[str] = ..., invoice_state: _Optional[_Union[_invoice_pb2.InvoiceState, str]] = ..., currency: _Optional[str] = ..., line: _Optional[_Union[_invoice_pb2.InvoiceLine, _Mapping]] = ..., evidence: _Optional[_Union[LineEvidence, _Mapping]] = ..., exact_amount: _Optional[str] = ..., rounding_minor: _Optional[str] = ..., discounts: _Optional[_Iterable[_Union[LineDiscount, _Mapping]]] = ..., credits: _Optional[_Iterable[_Union[_invoice_pb2.InvoiceCredit, _Mapping]]] = ..., taxable_minor: _Optional[int] = ..., taxes: _Optional[_Iterable[_Union[LineTax, _Mapping]]] = ..., tax_behavior: _Optional[_Union[_tax_pb2.TaxBehavior, str]] = ..., terms: _Optional[_Union[_invoice_pb2.InvoiceTerms, _Mapping]] = ..., correction: _Optional[_Union[CorrectionEvidence, _Mapping]] = ..., corrected_amount: _Optional[str] = ..., corrected_tiers: _Optional[_Iterable[_Union[_money_pb2.TierCharge, _Mapping]]] = ..., corrected_steps: _Optional[_Iterable[_Union[_money_pb2.ChargeStep, _Mapping]]] = ...) -> None: ...

class LineDiscount(_message.Message):
    __slots__ = ("discount_id", "coupon_id", "name", "kind", "percent", "invoice_minor", "amount_minor")
    DISCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    INVOICE_MINOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    discount_id: str
    coupon_id: str
    name: str
    kind: _discount_pb2.DiscountKind
    percent: str
    invoice_minor: int
    amount_minor: int
    def __init__(self, discount_id: _Optional[str] = ..., coupon_id: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[_discount_pb2.DiscountKind, str]] = ..., percent: _Optional[str] = ..., invoice_minor: _Optional[int] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class LineTax(_message.Message):
    __slots__ = ("tax_rate_id", "name", "percent", "compound", "taxable_minor", "exact_minor", "tax_minor")
    TAX_RATE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    COMPOUND_FIELD_NUMBER: _ClassVar[int]
    TAXABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    EXACT_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAX_MINOR_FIELD_NUMBER: _ClassVar[int]
    tax_rate_id: str
    name: str
    percent: str
    compound: bool
    taxable_minor: str
    exact_minor: str
    tax_minor: int
    def __init__(self, tax_rate_id: _Optional[str] = ..., name: _Optional[str] = ..., percent: _Optional[str] = ..., compound: _Optional[bool] = ..., taxable_minor: _Optional[str] = ..., exact_minor: _Optional[str] = ..., tax_minor: _Optional[int] = ...) -> None: ...
