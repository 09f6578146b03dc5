import datetime

from billing.discount.v1 import discount_pb2 as _discount_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateCouponRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "code", "name", "kind", "percent", "amount_minor", "currency", "duration", "duration_invoices", "max_redemptions", "valid_from", "valid_until", "price_ids")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    DURATION_INVOICES_FIELD_NUMBER: _ClassVar[int]
    MAX_REDEMPTIONS_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PRICE_IDS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    code: str
    name: str
    kind: _discount_pb2.DiscountKind
    percent: str
    amount_minor: int
    currency: str
    duration: _discount_pb2.DiscountDuration
    duration_invoices: int
    max_redemptions: int
    valid_from: _timestamp_pb2.Timestamp
    valid_until: _timestamp_pb2.Timestamp
    price_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[_discount_pb2.DiscountKind, str]] = ..., percent: _Optional[str] = ..., amount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., duration: _Optional[_Union[_discount_pb2.DiscountDuration, str]] = ..., duration_invoices: _Optional[int] = ..., max_redemptions: _Optional[int] = ..., valid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., price_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateCouponResponse(_message.Message):
    __slots__ = ("coupon",)
    COUPON_FIELD_NUMBER: _ClassVar[int]
    coupon: _discount_pb2.Coupon
    def __init__(self, coupon: _Optional[_Union[_discount_pb2.Coupon, _Mapping]] = ...) -> None: ...

class GetCouponRequest(_message.Message):
    __slots__ = ("tenant_id", "coupon_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    coupon_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., coupon_id: _Optional[str] = ...) -> None: ...

class GetCouponResponse(_message.Message):
    __slots__ = ("coupon",)
    COUPON_FIELD_NUMBER: _ClassVar[int]
    coupon: _discount_pb2.Coupon
    def __init__(self, coupon: _Optional[_Union[_discount_pb2.Coupon, _Mapping]] = ...) -> None: ...

class ListCouponsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    code: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class ListCouponsResponse(_message.Message):
    __slots__ = ("coupons", "next_page_token")
    COUPONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    coupons: _containers.RepeatedCompositeFieldContainer[_discount_pb2.Coupon]
    next_page_token: str
    def __init__(self, coupons: _Optional[_Iterable[_Union[_discount_pb2.Coupon, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ArchiveCouponRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "coupon_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    coupon_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., coupon_id: _Optional[str] = ...) -> None: ...

class ArchiveCouponResponse(_message.Message):
    __slots__ = ("coupon",)
    COUPON_FIELD_NUMBER: _ClassVar[int]
    coupon: _discount_pb2.Coupon
    def __init__(self, coupon: _Optional[_Union[_discount_pb2.Coupon, _Mapping]] = ...) -> None: ...

class RedeemCouponRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "code", "customer_id", "subscription_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    code: str
    customer_id: str
    subscription_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., code: _Optional[str] = ..., customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ...) -> None: ...

class RedeemCouponResponse(_message.Message):
    __slots__ = ("discount",)
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    discount: _discount_pb2.Discount
    def __init__(self, discount: _Optional[_Union[_discount_pb2.Discount, _Mapping]] = ...) -> None: ...

class EndDiscountRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "discount_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DISCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    discount_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., discount_id: _Optional[str] = ...) -> None: ...

class EndDiscountResponse(_message.Message):
    __slots__ = ("discount",)
    DISCOUNT_FIELD_NUMBER: _ClassVar[int]
    discount: _discount_pb2.Discount
    def __init__(self, discount: _Optional[_Union[_discount_pb2.Discount, _Mapping]] = ...) -> None: ...

class ListDiscountsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "customer_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    customer_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., customer_id: _Optional[str] = ...) -> None: ...

class ListDiscountsResponse(_message.Message):
    __slots__ = ("discounts", "next_page_token")
    DISCOUNTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    discounts: _containers.RepeatedCompositeFieldContainer[_discount_pb2.Discount]
    next_page_token: str
    def __init__(self, discounts: _Optional[_Iterable[_Union[_discount_pb2.Discount, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
