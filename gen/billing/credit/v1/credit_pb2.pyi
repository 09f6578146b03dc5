import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreditKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CREDIT_KIND_UNSPECIFIED: _ClassVar[CreditKind]
    CREDIT_KIND_PROMOTIONAL: _ClassVar[CreditKind]
    CREDIT_KIND_DISCOUNT: _ClassVar[CreditKind]
    CREDIT_KIND_COMPENSATION: _ClassVar[CreditKind]
    CREDIT_KIND_REFUND: _ClassVar[CreditKind]
    CREDIT_KIND_PREPAID: _ClassVar[CreditKind]
CREDIT_KIND_UNSPECIFIED: CreditKind
CREDIT_KIND_PROMOTIONAL: CreditKind
CREDIT_KIND_DISCOUNT: CreditKind
CREDIT_KIND_COMPENSATION: CreditKind
CREDIT_KIND_REFUND: CreditKind
CREDIT_KIND_PREPAID: CreditKind

class Credit(_message.Message):
    __slots__ = ("id", "tenant_id", "customer_id", "kind", "currency", "amount_minor", "remaining_minor", "valid_from", "valid_until", "priority", "description", "created_at", "voided_at", "version", "expired_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    REMAINING_MINOR_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VOIDED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    customer_id: str
    kind: CreditKind
    currency: str
    amount_minor: int
    remaining_minor: int
    valid_from: _timestamp_pb2.Timestamp
    valid_until: _timestamp_pb2.Timestamp
    priority: int
    description: str
    created_at: _timestamp_pb2.Timestamp
    voided_at: _timestamp_pb2.Timestamp
    version: int
    expired_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., kind: _Optional[_Union[CreditKind, str]] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ..., remaining_minor: _Optional[int] = ..., valid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., priority: _Optional[int] = ..., description: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., voided_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., expired_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CreditBalance(_message.Message):
    __slots__ = ("currency", "prepaid_minor", "other_minor")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    PREPAID_MINOR_FIELD_NUMBER: _ClassVar[int]
    OTHER_MINOR_FIELD_NUMBER: _ClassVar[int]
    currency: str
    prepaid_minor: int
    other_minor: int
    def __init__(self, currency: _Optional[str] = ..., prepaid_minor: _Optional[int] = ..., other_minor: _Optional[int] = ...) -> None: ...
