import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DiscountKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCOUNT_KIND_UNSPECIFIED: _ClassVar[DiscountKind]
    DISCOUNT_KIND_PERCENT: _ClassVar[DiscountKind]
    DISCOUNT_KIND_FIXED: _ClassVar[DiscountKind]

class DiscountDuration(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCOUNT_DURATION_UNSPECIFIED: _ClassVar[DiscountDuration]
    DISCOUNT_DURATION_ONCE: _ClassVar[DiscountDuration]
    DISCOUNT_DURATION_REPEATING: _ClassVar[DiscountDuration]
    DISCOUNT_DURATION_FOREVER: _ClassVar[DiscountDuration]

class CouponStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COUPON_STATUS_UNSPECIFIED: _ClassVar[CouponStatus]
    COUPON_STATUS_ACTIVE: _ClassVar[CouponStatus]
    COUPON_STATUS_ARCHIVED: _ClassVar[CouponStatus]
DISCOUNT_KIND_UNSPECIFIED: DiscountKind
DISCOUNT_KIND_PERCENT: DiscountKind
DISCOUNT_KIND_FIXED: DiscountKind
DISCOUNT_DURATION_UNSPECIFIED: DiscountDuration
DISCOUNT_DURATION_ONCE: DiscountDuration
DISCOUNT_DURATION_REPEATING: DiscountDuration
DISCOUNT_DURATION_FOREVER: DiscountDuration
COUPON_STATUS_UNSPECIFIED: CouponStatus
COUPON_STATUS_ACTIVE: CouponStatus
COUPON_STATUS_ARCHIVED: CouponStatus

class Coupon(_message.Message):
    __slots__ = ("id", "tenant_id", "code", "name", "kind", "percent", "amount_minor", "currency", "duration", "duration_invoices", "max_redemptions", "redemptions", "valid_from", "valid_until", "price_ids", "status", "created_at", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    DURATION_INVOICES_FIELD_NUMBER: _ClassVar[int]
    MAX_REDEMPTIONS_FIELD_NUMBER: _ClassVar[int]
    REDEMPTIONS_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PRICE_IDS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    code: str
    name: str
    kind: DiscountKind
    percent: str
    amount_minor: int
    currency: str
    duration: DiscountDuration
    duration_invoices: int
    max_redemptions: int
    redemptions: int
    valid_from: _timestamp_pb2.Timestamp
    valid_until: _timestamp_pb2.Timestamp
    price_ids: _containers.RepeatedScalarFieldContainer[str]
    status: CouponStatus
    created_at: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., kind: _Optional[_Union[DiscountKind, str]] = ..., percent: _Optional[str] = ..., amount_minor: _Optional[int] = ..., currency: _Optional[str] = ..., duration: _Optional[_Union[DiscountDuration, str]] = ..., duration_invoices: _Optional[int] = ..., max_redemptions: _Optional[int] = ..., redemptions: _Optional[int] = ..., valid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., price_ids: _Optional[_Iterable[str]] = ..., status: _Optional[_Union[CouponStatus, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class Discount(_message.Message):
    __slots__ = ("id", "tenant_id", "coupon_id", "customer_id", "subscription_id", "remaining_invoices", "redeemed_at", "ended_at", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COUPON_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    REMAINING_INVOICES_FIELD_NUMBER: _ClassVar[int]
    REDEEMED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    coupon_id: str
    customer_id: str
    subscription_id: str
    remaining_invoices: int
    redeemed_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., coupon_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., remaining_invoices: _Optional[int] = ..., redeemed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...
