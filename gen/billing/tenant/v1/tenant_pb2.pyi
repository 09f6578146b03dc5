import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TenantMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENANT_MODE_UNSPECIFIED: _ClassVar[TenantMode]
    TENANT_MODE_LIVE: _ClassVar[TenantMode]
    TENANT_MODE_SANDBOX: _ClassVar[TenantMode]

class TenantStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TENANT_STATUS_UNSPECIFIED: _ClassVar[TenantStatus]
    TENANT_STATUS_ACTIVE: _ClassVar[TenantStatus]
    TENANT_STATUS_SUSPENDED: _ClassVar[TenantStatus]
    TENANT_STATUS_CLOSED: _ClassVar[TenantStatus]

class ProrationGrain(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRORATION_GRAIN_UNSPECIFIED: _ClassVar[ProrationGrain]
    PRORATION_GRAIN_SECOND: _ClassVar[ProrationGrain]
    PRORATION_GRAIN_DAY: _ClassVar[ProrationGrain]
    PRORATION_GRAIN_NONE: _ClassVar[ProrationGrain]
TENANT_MODE_UNSPECIFIED: TenantMode
TENANT_MODE_LIVE: TenantMode
TENANT_MODE_SANDBOX: TenantMode
TENANT_STATUS_UNSPECIFIED: TenantStatus
TENANT_STATUS_ACTIVE: TenantStatus
TENANT_STATUS_SUSPENDED: TenantStatus
TENANT_STATUS_CLOSED: TenantStatus
PRORATION_GRAIN_UNSPECIFIED: ProrationGrain
PRORATION_GRAIN_SECOND: ProrationGrain
PRORATION_GRAIN_DAY: ProrationGrain
PRORATION_GRAIN_NONE: ProrationGrain

class Tenant(_message.Message):
    __slots__ = ("id", "name", "slug", "mode", "status", "default_currency", "timezone", "auto_finalize", "created_at", "version", "proration_grain")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SLUG_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    AUTO_FINALIZE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PRORATION_GRAIN_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    slug: str
    mode: TenantMode
    status: TenantStatus
    default_currency: str
    timezone: str
    auto_finalize: bool
    created_at: _timestamp_pb2.Timestamp
    version: int
    proration_grain: ProrationGrain
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., slug: _Optional[str] = ..., mode: _Optional[_Union[TenantMode, str]] = ..., status: _Optional[_Union[TenantStatus, str]] = ..., default_currency: _Optional[str] = ..., timezone: _Optional[str] = ..., auto_finalize: _Optional[bool] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., proration_grain: _Optional[_Union[ProrationGrain, str]] = ...) -> None: ...
