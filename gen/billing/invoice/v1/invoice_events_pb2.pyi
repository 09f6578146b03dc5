from billing.invoice.v1 import invoice_pb2 as _invoice_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvoiceGenerated(_message.Message):
    __slots__ = ("invoice_id", "customer_id", "subscription_id", "cycle_id", "currency", "total_minor")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    customer_id: str
    subscription_id: str
    cycle_id: str
    currency: str
    total_minor: int
    def __init__(self, invoice_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., cycle_id: _Optional[str] = ..., currency: _Optional[str] = ..., total_minor: _Optional[int] = ...) -> None: ...

class InvoiceStatusChanged(_message.Message):
    __slots__ = ("invoice_id", "to", "number")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    to: _invoice_pb2.InvoiceState
    number: str
    def __init__(self, invoice_id: _Optional[str] = ..., to: _Optional[_Union[_invoice_pb2.InvoiceState, str]] = ..., number: _Optional[str] = ..., **kwargs) -> None: ...

class InvoicePaid(_message.Message):
    __slots__ = ("invoice_id", "number", "currency", "amount_paid_minor")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_PAID_MINOR_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    number: str
    currency: str
    amount_paid_minor: int
    def __init__(self, invoice_id: _Optional[str] = ..., number: _Optional[str] = ..., currency: _Optional[str] = ..., amount_paid_minor: _Optional[int] = ...) -> None: ...

class InvoicePaymentRecorded(_message.Message):
    __slots__ = ("invoice_id", "payment_id", "currency", "amount_minor", "amount_due_minor", "recovered")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    PAYMENT_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_DUE_MINOR_FIELD_NUMBER: _ClassVar[int]
    RECOVERED_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    payment_id: str
    currency: str
    amount_minor: int
    amount_due_minor: int
    recovered: bool
    def __init__(self, invoice_id: _Optional[str] = ..., payment_id: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ..., amount_due_minor: _Optional[int] = ..., recovered: _Optional[bool] = ...) -> None: ...

class InvoiceCreditsApplied(_message.Message):
    __slots__ = ("invoice_id", "number", "currency", "amount_minor", "amount_due_minor")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_DUE_MINOR_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    number: str
    currency: str
    amount_minor: int
    amount_due_minor: int
    def __init__(self, invoice_id: _Optional[str] = ..., number: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ..., amount_due_minor: _Optional[int] = ...) -> None: ...

class InvoiceVoided(_message.Message):
    __slots__ = ("invoice_id", "number")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    number: str
    def __init__(self, invoice_id: _Optional[str] = ..., number: _Optional[str] = ...) -> None: ...

class CreditNoteIssued(_message.Message):
    __slots__ = ("credit_note_id", "invoice_id", "customer_id", "number", "currency", "total_minor", "refunded_minor", "returned_minor")
    CREDIT_NOTE_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MINOR_FIELD_NUMBER: _ClassVar[int]
    REFUNDED_MINOR_FIELD_NUMBER: _ClassVar[int]
    RETURNED_MINOR_FIELD_NUMBER: _ClassVar[int]
    credit_note_id: str
    invoice_id: str
    customer_id: str
    number: str
    currency: str
    total_minor: int
    refunded_minor: int
    returned_minor: int
    def __init__(self, credit_note_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., number: _Optional[str] = ..., currency: _Optional[str] = ..., total_minor: _Optional[int] = ..., refunded_minor: _Optional[int] = ..., returned_minor: _Optional[int] = ...) -> None: ...

class InvoiceWrittenOff(_message.Message):
    __slots__ = ("invoice_id", "number", "currency", "amount_minor")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    number: str
    currency: str
    amount_minor: int
    def __init__(self, invoice_id: _Optional[str] = ..., number: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class InvoiceCredited(_message.Message):
    __slots__ = ("invoice_id", "credit_note_id", "currency", "amount_minor", "amount_due_minor")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CREDIT_NOTE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_DUE_MINOR_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    credit_note_id: str
    currency: str
    amount_minor: int
    amount_due_minor: int
    def __init__(self, invoice_id: _Optional[str] = ..., credit_note_id: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ..., amount_due_minor: _Optional[int] = ...) -> None: ...

class InvoiceLinksRevoked(_message.Message):
    __slots__ = ("invoice_id", "number")
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    invoice_id: str
    number: str
    def __init__(self, invoice_id: _Optional[str] = ..., number: _Optional[str] = ...) -> None: ...
