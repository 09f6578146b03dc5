import datetime

from billing.credit.v1 import credit_pb2 as _credit_pb2
from billing.discount.v1 import discount_pb2 as _discount_pb2
from billing.tax.v1 import tax_pb2 as _tax_pb2
from billing.types.v1 import money_pb2 as _money_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvoiceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVOICE_STATE_UNSPECIFIED: _ClassVar[InvoiceState]
    INVOICE_STATE_DRAFT: _ClassVar[InvoiceState]
    INVOICE_STATE_OPEN: _ClassVar[InvoiceState]
    INVOICE_STATE_PAID: _ClassVar[InvoiceState]
    INVOICE_STATE_VOID: _ClassVar[InvoiceState]
    INVOICE_STATE_UNCOLLECTIBLE: _ClassVar[InvoiceState]

class InvoiceLineType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVOICE_LINE_TYPE_UNSPECIFIED: _ClassVar[InvoiceLineType]
    INVOICE_LINE_TYPE_RECURRING: _ClassVar[InvoiceLineType]
    INVOICE_LINE_TYPE_USAGE: _ClassVar[InvoiceLineType]
    INVOICE_LINE_TYPE_ADJUSTMENT: _ClassVar[InvoiceLineType]
    INVOICE_LINE_TYPE_ONE_TIME: _ClassVar[InvoiceLineType]
    INVOICE_LINE_TYPE_TRUE_UP: _ClassVar[InvoiceLineType]
INVOICE_STATE_UNSPECIFIED: InvoiceState
INVOICE_STATE_DRAFT: InvoiceState
INVOICE_STATE_OPEN: InvoiceState
INVOICE_STATE_PAID: InvoiceState
INVOICE_STATE_VOID: InvoiceState
INVOICE_STATE_UNCOLLECTIBLE: InvoiceState
INVOICE_LINE_TYPE_UNSPECIFIED: InvoiceLineType
INVOICE_LINE_TYPE_RECURRING: InvoiceLineType
INVOICE_LINE_TYPE_USAGE: InvoiceLineType
INVOICE_LINE_TYPE_ADJUSTMENT: InvoiceLineType
INVOICE_LINE_TYPE_ONE_TIME: InvoiceLineType
INVOICE_LINE_TYPE_TRUE_UP: InvoiceLineType

class Invoice(_message.Message):
    __slots__ = ("id", "tenant_id", "customer_id", "subscription_id", "cycle_id", "state", "number", "currency", "total_minor", "amount_paid_minor", "amount_due_minor", "period", "lines", "finalized_at", "due_at", "paid_at", "voided_at", "created_at", "version", "subtotal_minor", "discount_minor", "credit_minor", "tax_minor", "prepaid_minor", "tax_behavior", "discounts", "credits", "taxes", "credited_minor", "description", "replaces_invoice_id", "written_off_at", "terms")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_PAID_MINOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_DUE_MINOR_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    FINALIZED_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    PAID_AT_FIELD_NUMBER: _ClassVar[int]
    VOIDED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SUBTOTAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CREDIT_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAX_MINOR_FIELD_NUMBER: _ClassVar[int]
    PREPAID_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAX_BEHAVIOR_FIELD_NUMBER: _ClassVar[int]
    DISCOUNTS_FIELD_NUMBER: _ClassVar[int]
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    TAXES_FIELD_NUMBER: _ClassVar[int]
    CREDITED_MINOR_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    REPLACES_INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_OFF_AT_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    customer_id: str
    subscription_id: str
    cycle_id: str
    state: InvoiceState
    number: str
    currency: str
    total_minor: int
    amount_paid_minor: int
    amount_due_minor: int
    period: _period_pb2.Period
    lines: _containers.RepeatedCompositeFieldContainer[InvoiceLine]
    finalized_at: _timestamp_pb2.Timestamp
    due_at: _timestamp_pb2.Timestamp
    paid_at: _timestamp_pb2.Timestamp
    voided_at: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    version: int
    subtotal_minor: int
    discount_minor: int
    credit_minor: int
    tax_minor: int
    prepaid_minor: int
    tax_behavior: _tax_pb2.TaxBehavior
    discounts: _containers.RepeatedCompositeFieldContainer[InvoiceDiscount]
    credits: _containers.RepeatedCompositeFieldContainer[InvoiceCredit]
    taxes: _containers.RepeatedCompositeFieldContainer[InvoiceTax]
    credited_minor: int
    description: str
    replaces_invoice_id: str
    written_off_at: _timestamp_pb2.Timestamp
    terms: InvoiceTerms
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., cycle_id: _Optional[str] = ..., state: _Optional[_Union[InvoiceState, str]] = ..., number: _Optional[str] = ..., currency: _Optional[str] = ..., total_minor: _Optional[int] = ..., amount_paid_minor: _Optional[int] = ..., amount_due_minor: _Optional[int] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[InvoiceLine, _Mapping]]] = ..., finalized_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., paid_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., voided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., subtotal_minor: _Optional[int] = ..., discount_minor: _Optional[int] = ..., credit_minor: _Optional[int] = ..., tax_minor: _Optional[int] = ..., prepaid_minor: _Optional[int] = ..., tax_behavior: _Optional[_Union[_tax_pb2.TaxBehavior, str]] = ..., discounts: _Optional[_Iterable[_Union[InvoiceDiscount, _Mapping]]] = ..., credits: _Optional[_Iterable[_Union[InvoiceCredit, _Mapping]]] = ..., taxes: _Optional[_Iterable[_Union[InvoiceTax, _Mapping]]] = ..., credited_minor: _Optional[int] = ..., description: _Optional[str] = ..., replaces_invoice_id: _Optional[str] = ..., written_off_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., terms: _Optional[_Union[InvoiceTerms, _Mapping]] = ...) -> None: ...

class InvoiceTerms(_message.Message):
    __slots__ = ("tax_rounding", "credit_application", "worked_out_at")
    TAX_ROUNDING_FIELD_NUMBER: _ClassVar[int]
    CREDIT_APPLICATION_FIELD_NUMBER: _ClassVar[int]
    WORKED_OUT_AT_FIELD_NUMBER: _ClassVar[int]
    tax_rounding: _tax_pb2.TaxRounding
    credit_application: _tax_pb2.CreditApplication
    worked_out_at: _timestamp_pb2.Timestamp
    def __init__(self, tax_rounding: _Optional[_Union[_tax_pb2.TaxRounding, str]] = ..., credit_application: _Optional[_Union[_tax_pb2.CreditApplication, str]] = ..., worked_out_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class InvoiceDiscount(_message.Message):
    __slots__ = ("discount_id", "coupon_id", "name", "kind", "percent", "amount_minor", "subscription_id")
    DISCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    discount_id: str
    coupon_id: str
    name: str
    kind: _discount_pb2.DiscountKind
    percent: str
    amount_minor: int
    subscription_id: str
    def __init__(self, discount_id: _Optional[str] = ..., coupon_id: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[_discount_pb2.DiscountKind, str]] = ..., percent: _Optional[str] = ..., amount_minor: _Optional[int] = ..., subscription_id: _Optional[str] = ...) -> None: ...

class InvoiceCredit(_message.Message):
    __slots__ = ("credit_id", "kind", "amount_minor", "available_minor", "applied_at")
    CREDIT_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    APPLIED_AT_FIELD_NUMBER: _ClassVar[int]
    credit_id: str
    kind: _credit_pb2.CreditKind
    amount_minor: int
    available_minor: int
    applied_at: _timestamp_pb2.Timestamp
    def __init__(self, credit_id: _Optional[str] = ..., kind: _Optional[_Union[_credit_pb2.CreditKind, str]] = ..., amount_minor: _Optional[int] = ..., available_minor: _Optional[int] = ..., applied_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class InvoiceTax(_message.Message):
    __slots__ = ("tax_rate_id", "name", "percent", "compound", "taxable_minor", "tax_minor")
    TAX_RATE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    COMPOUND_FIELD_NUMBER: _ClassVar[int]
    TAXABLE_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAX_MINOR_FIELD_NUMBER: _ClassVar[int]
    tax_rate_id: str
    name: str
    percent: str
    compound: bool
    taxable_minor: str
    tax_minor: int
    def __init__(self, tax_rate_id: _Optional[str] = ..., name: _Optional[str] = ..., percent: _Optional[str] = ..., compound: _Optional[bool] = ..., taxable_minor: _Optional[str] = ..., tax_minor: _Optional[int] = ...) -> None: ...

class InvoiceLine(_message.Message):
    __slots__ = ("id", "type", "description", "period", "quantity", "unit_amount", "unit_size", "amount_minor", "price_id", "subscription_item_id", "tiers", "steps", "discount_minor", "credit_minor", "tax_minor", "taxes", "tax_exemption", "by_record", "subscription_id", "evidence", "charge_id", "tax_category")
    ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_SIZE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CREDIT_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAX_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAXES_FIELD_NUMBER: _ClassVar[int]
    TAX_EXEMPTION_FIELD_NUMBER: _ClassVar[int]
    BY_RECORD_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    CHARGE_ID_FIELD_NUMBER: _ClassVar[int]
    TAX_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    id: str
    type: InvoiceLineType
    description: str
    period: _period_pb2.Period
    quantity: str
    unit_amount: str
    unit_size: str
    amount_minor: int
    price_id: str
    subscription_item_id: str
    tiers: _containers.RepeatedCompositeFieldContainer[_money_pb2.TierCharge]
    steps: _containers.RepeatedCompositeFieldContainer[_money_pb2.ChargeStep]
    discount_minor: int
    credit_minor: int
    tax_minor: int
    taxes: _containers.RepeatedCompositeFieldContainer[InvoiceTax]
    tax_exemption: _tax_pb2.TaxExemption
    by_record: _money_pb2.RecordEvidence
    subscription_id: str
    evidence: InvoiceLineEvidence
    charge_id: str
    tax_category: str
    def __init__(self, id: _Optional[str] = ..., type: _Optional[_Union[InvoiceLineType, str]] = ..., description: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., quantity: _Optional[str] = ..., unit_amount: _Optional[str] = ..., unit_size: _Optional[str] = ..., amount_minor: _Optional[int] = ..., price_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[_money_pb2.TierCharge, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[_money_pb2.ChargeStep, _Mapping]]] = ..., discount_minor: _Optional[int] = ..., credit_minor: _Optional[int] = ..., tax_minor: _Optional[int] = ..., taxes: _Optional[_Iterable[_Union[InvoiceTax, _Mapping]]] = ..., tax_exemption: _Optional[_Union[_tax_pb2.TaxExemption, str]] = ..., by_record: _Optional[_Union[_money_pb2.RecordEvidence, _Mapping]] = ..., subscription_id: _Optional[str] = ..., evidence: _Optional[_Union[InvoiceLineEvidence, _Mapping]] = ..., charge_id: _Optional[str] = ..., tax_category: _Optional[str] = ...) -> None: ...

class InvoiceLineEvidence(_message.Message):
    __slots__ = ("minimum_minor", "lines_minor", "trued_up_minor", "quantity_before", "amount_before", "threshold_minor", "invoiced_minor", "uncharged_minor", "rated_minor", "rated_uncharged_minor", "rerated_revision", "rated_credit_minor", "later_credit_minor")
    MINIMUM_MINOR_FIELD_NUMBER: _ClassVar[int]
    LINES_MINOR_FIELD_NUMBER: _ClassVar[int]
    TRUED_UP_MINOR_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_MINOR_FIELD_NUMBER: _ClassVar[int]
    INVOICED_MINOR_FIELD_NUMBER: _ClassVar[int]
    UNCHARGED_MINOR_FIELD_NUMBER: _ClassVar[int]
    RATED_MINOR_FIELD_NUMBER: _ClassVar[int]
    RATED_UNCHARGED_MINOR_FIELD_NUMBER: _ClassVar[int]
    RERATED_REVISION_FIELD_NUMBER: _ClassVar[int]
    RATED_CREDIT_MINOR_FIELD_NUMBER: _ClassVar[int]
    LATER_CREDIT_MINOR_FIELD_NUMBER: _ClassVar[int]
    minimum_minor: int
    lines_minor: int
    trued_up_minor: int
    quantity_before: str
    amount_before: str
    threshold_minor: int
    invoiced_minor: int
    uncharged_minor: int
    rated_minor: int
    rated_uncharged_minor: int
    rerated_revision: int
    rated_credit_minor: int
    later_credit_minor: int
    def __init__(self, minimum_minor: _Optional[int] = ..., lines_minor: _Optional[int] = ..., trued_up_minor: _Optional[int] = ..., quantity_before: _Optional[str] = ..., amount_before: _Optional[str] = ..., threshold_minor: _Optional[int] = ..., invoiced_minor: _Optional[int] = ..., uncharged_minor: _Optional[int] = ..., rated_minor: _Optional[int] = ..., rated_uncharged_minor: _Optional[int] = ..., rerated_revision: _Optional[int] = ..., rated_credit_minor: _Optional[int] = ..., later_credit_minor: _Optional[int] = ...) -> None: ...

class InvoicePayment(_message.Message):
    __slots__ = ("id", "invoice_id", "amount_minor", "currency", "reference", "received_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    invoice_id: str
    amount_minor: int
    currency: str
    reference: str
    received_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., amount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., reference: _Optional[str] = ..., received_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreditNote(_message.Message):
    __slots__ = ("id", "tenant_id", "invoice_id", "customer_id", "number", "reason", "currency", "items", "subtotal_minor", "tax_minor", "total_minor", "due_minor", "refunded_minor", "credit_id", "issued_at", "returned_minor")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    SUBTOTAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    TAX_MINOR_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    DUE_MINOR_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_MINOR_FIELD_NUMBER: _ClassVar[int]
    CREDIT_ID_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_FIELD_NUMBER: _ClassVar[int]
    RETURNED_MINOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    invoice_id: str
    customer_id: str
    number: str
    reason: str
    currency: str
    items: _containers.RepeatedCompositeFieldContainer[CreditNoteItem]
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    due_minor: int
    refunded_minor: int
    credit_id: str
    issued_at: _timestamp_pb2.Timestamp
    returned_minor: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., number: _Optional[str] = ..., reason: _Optional[str] = ..., currency: _Optional[str] = ..., items: _Optional[_Iterable[_Union[CreditNoteItem, _Mapping]]] = ..., subtotal_minor: _Optional[int] = ..., tax_minor: _Optional[int] = ..., total_minor: _Optional[int] = ..., due_minor: _Optional[int] = ..., refunded_minor: _Optional[int] = ..., credit_id: _Optional[str] = ..., issued_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., returned_minor: _Optional[int] = ...) -> None: ...

class CreditNoteItem(_message.Message):
    __slots__ = ("invoice_line_id", "amount_minor")
    INVOICE_LINE_ID_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    invoice_line_id: str
    amount_minor: int
    def __init__(self, invoice_line_id: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...
