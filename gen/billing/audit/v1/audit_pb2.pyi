import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AuditOperation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_OPERATION_UNSPECIFIED: _ClassVar[AuditOperation]
    AUDIT_OPERATION_INSERT: _ClassVar[AuditOperation]
    AUDIT_OPERATION_UPDATE: _ClassVar[AuditOperation]
    AUDIT_OPERATION_DELETE: _ClassVar[AuditOperation]

class AuditFault(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIT_FAULT_UNSPECIFIED: _ClassVar[AuditFault]
    AUDIT_FAULT_EDITED: _ClassVar[AuditFault]
    AUDIT_FAULT_MISSING: _ClassVar[AuditFault]
    AUDIT_FAULT_REORDERED: _ClassVar[AuditFault]
    AUDIT_FAULT_INSERTED: _ClassVar[AuditFault]
    AUDIT_FAULT_TRUNCATED: _ClassVar[AuditFault]
    AUDIT_FAULT_REWRITTEN: _ClassVar[AuditFault]
    AUDIT_FAULT_NOT_SIGNED: _ClassVar[AuditFault]
    AUDIT_FAULT_NOT_SEALED: _ClassVar[AuditFault]
    AUDIT_FAULT_MISDATED: _ClassVar[AuditFault]
AUDIT_OPERATION_UNSPECIFIED: AuditOperation
AUDIT_OPERATION_INSERT: AuditOperation
AUDIT_OPERATION_UPDATE: AuditOperation
AUDIT_OPERATION_DELETE: AuditOperation
AUDIT_FAULT_UNSPECIFIED: AuditFault
AUDIT_FAULT_EDITED: AuditFault
AUDIT_FAULT_MISSING: AuditFault
AUDIT_FAULT_REORDERED: AuditFault
AUDIT_FAULT_INSERTED: AuditFault
AUDIT_FAULT_TRUNCATED: AuditFault
AUDIT_FAULT_REWRITTEN: AuditFault
AUDIT_FAULT_NOT_SIGNED: AuditFault
AUDIT_FAULT_NOT_SEALED: AuditFault
AUDIT_FAULT_MISDATED: AuditFault

class AuditEntry(_message.Message):
    __slots__ = ("id", "tenant_id", "occurred_at", "actor", "action", "request_id", "correlation_id", "trace_id", "ip", "user_agent", "reason", "changes", "seal", "changes_omitted")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    OCCURRED_AT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    TRACE_ID_FIELD_NUMBER: _ClassVar[int]
    IP_FIELD_NUMBER: _ClassVar[int]
    USER_AGENT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    SEAL_FIELD_NUMBER: _ClassVar[int]
    CHANGES_OMITTED_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    occurred_at: _timestamp_pb2.Timestamp
    actor: str
    action: str
    request_id: str
    correlation_id: str
    trace_id: str
    ip: str
    user_agent: str
    reason: str
    changes: _containers.RepeatedCompositeFieldContainer[AuditChange]
    seal: AuditSeal
    changes_omitted: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., occurred_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ..., action: _Optional[str] = ..., request_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., trace_id: _Optional[str] = ..., ip: _Optional[str] = ..., user_agent: _Optional[str] = ..., reason: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[AuditChange, _Mapping]]] = ..., seal: _Optional[_Union[AuditSeal, _Mapping]] = ..., changes_omitted: _Optional[int] = ...) -> None: ...

class AuditChange(_message.Message):
    __slots__ = ("resource_type", "resource_id", "operation", "old_json", "new_json")
    RESOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    OLD_JSON_FIELD_NUMBER: _ClassVar[int]
    NEW_JSON_FIELD_NUMBER: _ClassVar[int]
    resource_type: str
    resource_id: str
    operation: AuditOperation
    old_json: str
    new_json: str
    def __init__(self, resource_type: _Optional[str] = ..., resource_id: _Optional[str] = ..., operation: _Optional[_Union[AuditOperation, str]] = ..., old_json: _Optional[str] = ..., new_json: _Optional[str] = ...) -> None: ...

class AuditSeal(_message.Message):
    __slots__ = ("position", "entry_hash", "hash")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ENTRY_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    position: int
    entry_hash: str
    hash: str
    def __init__(self, position: _Optional[int] = ..., entry_hash: _Optional[str] = ..., hash: _Optional[str] = ...) -> None: ...

class AuditHead(_message.Message):
    __slots__ = ("tenant_id", "count", "hash", "sealed_at", "key_id", "signature")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    SEALED_AT_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    count: int
    hash: str
    sealed_at: _timestamp_pb2.Timestamp
    key_id: str
    signature: str
    def __init__(self, tenant_id: _Optional[str] = ..., count: _Optional[int] = ..., hash: _Optional[str] = ..., sealed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., key_id: _Optional[str] = ..., signature: _Optional[str] = ...) -> None: ...

class AuditKey(_message.Message):
    __slots__ = ("key_id", "public_key")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    public_key: str
    def __init__(self, key_id: _Optional[str] = ..., public_key: _Optional[str] = ...) -> None: ...

class AuditFinding(_message.Message):
    __slots__ = ("fault", "position", "audit_id", "explanation")
    FAULT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    AUDIT_ID_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    fault: AuditFault
    position: int
    audit_id: str
    explanation: str
    def __init__(self, fault: _Optional[_Union[AuditFault, str]] = ..., position: _Optional[int] = ..., audit_id: _Optional[str] = ..., explanation: _Optional[str] = ...) -> None: ...
