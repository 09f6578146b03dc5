import datetime

from billing.audit.v1 import audit_pb2 as _audit_pb2
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

class ListAuditEntriesRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "actor", "action", "resource_id", "from_time", "until_time")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_TIME_FIELD_NUMBER: _ClassVar[int]
    UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    actor: str
    action: str
    resource_id: str
    from_time: _timestamp_pb2.Timestamp
    until_time: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., resource_id: _Optional[str] = ..., from_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListAuditEntriesResponse(_message.Message):
    __slots__ = ("entries", "next_page_token")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[_audit_pb2.AuditEntry]
    next_page_token: str
    def __init__(self, entries: _Optional[_Iterable[_Union[_audit_pb2.AuditEntry, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ExportAuditEntriesRequest(_message.Message):
    __slots__ = ("tenant_id", "after_position")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_POSITION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    after_position: int
    def __init__(self, tenant_id: _Optional[str] = ..., after_position: _Optional[int] = ...) -> None: ...

class ExportAuditEntriesResponse(_message.Message):
    __slots__ = ("key", "entry", "head", "change")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    key: _audit_pb2.AuditKey
    entry: _audit_pb2.AuditEntry
    head: _audit_pb2.AuditHead
    change: _audit_pb2.AuditChange
    def __init__(self, key: _Optional[_Union[_audit_pb2.AuditKey, _Mapping]] = ..., entry: _Optional[_Union[_audit_pb2.AuditEntry, _Mapping]] = ..., head: _Optional[_Union[_audit_pb2.AuditHead, _Mapping]] = ..., change: _Optional[_Union[_audit_pb2.AuditChange, _Mapping]] = ...) -> None: ...

class VerifyAuditLogRequest(_message.Message):
    __slots__ = ("tenant_id", "kept_count", "kept_hash")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    KEPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEPT_HASH_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    kept_count: int
    kept_hash: str
    def __init__(self, tenant_id: _Optional[str] = ..., kept_count: _Optional[int] = ..., kept_hash: _Optional[str] = ...) -> None: ...

class VerifyAuditLogResponse(_message.Message):
    __slots__ = ("checked", "findings", "complete", "sound", "head")
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    SOUND_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    checked: int
    findings: _containers.RepeatedCompositeFieldContainer[_audit_pb2.AuditFinding]
    complete: bool
    sound: bool
    head: _audit_pb2.AuditHead
    def __init__(self, checked: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[_audit_pb2.AuditFinding, _Mapping]]] = ..., complete: _Optional[bool] = ..., sound: _Optional[bool] = ..., head: _Optional[_Union[_audit_pb2.AuditHead, _Mapping]] = ...) -> None: ...

class GetAuditKeyRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class GetAuditKeyResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: _audit_pb2.AuditKey
    def __init__(self, key: _Optional[_Union[_audit_pb2.AuditKey, _Mapping]] = ...) -> None: ...
