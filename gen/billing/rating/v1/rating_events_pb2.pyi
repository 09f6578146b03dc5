from billing.options.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class RatingCompleted(_message.Message):
    __slots__ = ("cycle_id", "subscription_id", "customer_id", "charge_count", "currency", "amount")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CHARGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    subscription_id: str
    customer_id: str
    charge_count: int
    currency: str
    amount: str
    def __init__(self, cycle_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., charge_count: _Optional[int] = ..., currency: _Optional[str] = ..., amount: _Optional[str] = ...) -> None: ...

class BillingCycleRerated(_message.Message):
    __slots__ = ("cycle_id", "subscription_id", "customer_id", "price_id", "corrected_price_id", "invoice_id", "currency", "difference_minor")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_MINOR_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    subscription_id: str
    customer_id: str
    price_id: str
    corrected_price_id: str
    invoice_id: str
    currency: str
    difference_minor: int
    def __init__(self, cycle_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., price_id: _Optional[str] = ..., corrected_price_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., currency: _Optional[str] = ..., difference_minor: _Optional[int] = ...) -> None: ...
