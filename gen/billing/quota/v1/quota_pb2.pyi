import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QuotaScope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUOTA_SCOPE_UNSPECIFIED: _ClassVar[QuotaScope]
    QUOTA_SCOPE_TENANT: _ClassVar[QuotaScope]
    QUOTA_SCOPE_PLAN: _ClassVar[QuotaScope]
    QUOTA_SCOPE_CUSTOMER: _ClassVar[QuotaScope]
    QUOTA_SCOPE_SUBSCRIPTION: _ClassVar[QuotaScope]

class QuotaPeriod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUOTA_PERIOD_UNSPECIFIED: _ClassVar[QuotaPeriod]
    QUOTA_PERIOD_BILLING_PERIOD: _ClassVar[QuotaPeriod]
    QUOTA_PERIOD_MONTH: _ClassVar[QuotaPeriod]
    QUOTA_PERIOD_DAY: _ClassVar[QuotaPeriod]

class QuotaEnforcement(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUOTA_ENFORCEMENT_UNSPECIFIED: _ClassVar[QuotaEnforcement]
    QUOTA_ENFORCEMENT_SOFT: _ClassVar[QuotaEnforcement]
    QUOTA_ENFORCEMENT_HARD: _ClassVar[QuotaEnforcement]
QUOTA_SCOPE_UNSPECIFIED: QuotaScope
QUOTA_SCOPE_TENANT: QuotaScope
QUOTA_SCOPE_PLAN: QuotaScope
QUOTA_SCOPE_CUSTOMER: QuotaScope
QUOTA_SCOPE_SUBSCRIPTION: QuotaScope
QUOTA_PERIOD_UNSPECIFIED: QuotaPeriod
QUOTA_PERIOD_BILLING_PERIOD: QuotaPeriod
QUOTA_PERIOD_MONTH: QuotaPeriod
QUOTA_PERIOD_DAY: QuotaPeriod
QUOTA_ENFORCEMENT_UNSPECIFIED: QuotaEnforcement
QUOTA_ENFORCEMENT_SOFT: QuotaEnforcement
QUOTA_ENFORCEMENT_HARD: QuotaEnforcement

class QuotaThreshold(_message.Message):
    __slots__ = ("percent", "quantity")
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    percent: str
    quantity: str
    def __init__(self, percent: _Optional[str] = ..., quantity: _Optional[str] = ...) -> None: ...

class Quota(_message.Message):
    __slots__ = ("id", "tenant_id", "scope", "subject_id", "meter_code", "period", "limit_quantity", "enforcement", "thresholds", "platform", "created_at", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    scope: QuotaScope
    subject_id: str
    meter_code: str
    period: QuotaPeriod
    limit_quantity: str
    enforcement: QuotaEnforcement
    thresholds: _containers.RepeatedCompositeFieldContainer[QuotaThreshold]
    platform: bool
    created_at: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., scope: _Optional[_Union[QuotaScope, str]] = ..., subject_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period: _Optional[_Union[QuotaPeriod, str]] = ..., limit_quantity: _Optional[str] = ..., enforcement: _Optional[_Union[QuotaEnforcement, str]] = ..., thresholds: _Optional[_Iterable[_Union[QuotaThreshold, _Mapping]]] = ..., platform: _Optional[bool] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...
