from billing.options.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class CouponCreated(_message.Message):
    __slots__ = ("coupon_id", "code")
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    coupon_id: str
    code: str
    def __init__(self, coupon_id: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class CouponArchived(_message.Message):
    __slots__ = ("coupon_id",)
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    coupon_id: str
    def __init__(self, coupon_id: _Optional[str] = ...) -> None: ...

class CouponRedeemed(_message.Message):
    __slots__ = ("coupon_id", "discount_id", "customer_id", "subscription_id")
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    coupon_id: str
    discount_id: str
    customer_id: str
    subscription_id: str
    def __init__(self, coupon_id: _Optional[str] = ..., discount_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ...) -> None: ...

class DiscountEnded(_message.Message):
    __slots__ = ("discount_id", "coupon_id", "customer_id")
    DISCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    discount_id: str
    coupon_id: str
    customer_id: str
    def __init__(self, discount_id: _Optional[str] = ..., coupon_id: _Optional[str] = ..., customer_id: _Optional[str] = ...) -> None: ...

class DiscountRestored(_message.Message):
    __slots__ = ("discount_id", "coupon_id", "customer_id", "invoice_id", "remaining_invoices")
    DISCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    REMAINING_INVOICES_FIELD_NUMBER: _ClassVar[int]
    discount_id: str
    coupon_id: str
    customer_id: str
    invoice_id: str
    remaining_invoices: int
    def __init__(self, discount_id: _Optional[str] = ..., coupon_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., remaining_invoices: _Optional[int] = ...) -> None: ...
