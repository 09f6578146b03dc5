from billing.credit.v1 import credit_pb2 as _credit_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreditGranted(_message.Message):
    __slots__ = ("credit_id", "customer_id", "kind", "currency", "amount_minor")
    CREDIT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    credit_id: str
    customer_id: str
    kind: _credit_pb2.CreditKind
    currency: str
    amount_minor: int
    def __init__(self, credit_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., kind: _Optional[_Union[_credit_pb2.CreditKind, str]] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class CreditApplied(_message.Message):
    __slots__ = ("credit_id", "customer_id", "invoice_id", "currency", "amount_minor", "remaining_minor")
    CREDIT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    REMAINING_MINOR_FIELD_NUMBER: _ClassVar[int]
    credit_id: str
    customer_id: str
    invoice_id: str
    currency: str
    amount_minor: int
    remaining_minor: int
    def __init__(self, credit_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ..., remaining_minor: _Optional[int] = ...) -> None: ...

class CreditReversed(_message.Message):
    __slots__ = ("credit_id", "customer_id", "invoice_id", "currency", "amount_minor", "remaining_minor")
    CREDIT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    REMAINING_MINOR_FIELD_NUMBER: _ClassVar[int]
    credit_id: str
    customer_id: str
    invoice_id: str
    currency: str
    amount_minor: int
    remaining_minor: int
    def __init__(self, credit_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ..., remaining_minor: _Optional[int] = ...) -> None: ...

class CreditVoided(_message.Message):
    __slots__ = ("credit_id", "customer_id", "currency", "amount_minor")
    CREDIT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    credit_id: str
    customer_id: str
    currency: str
    amount_minor: int
    def __init__(self, credit_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class CreditExpired(_message.Message):
    __slots__ = ("credit_id", "customer_id", "currency", "amount_minor")
    CREDIT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    credit_id: str
    customer_id: str
    currency: str
    amount_minor: int
    def __init__(self, credit_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...
