import datetime

from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_STATE_UNSPECIFIED: _ClassVar[EventState]
    EVENT_STATE_PENDING: _ClassVar[EventState]
    EVENT_STATE_DISPATCHED: _ClassVar[EventState]
    EVENT_STATE_FAILED: _ClassVar[EventState]
    EVENT_STATE_DEAD_LETTER: _ClassVar[EventState]
EVENT_STATE_UNSPECIFIED: EventState
EVENT_STATE_PENDING: EventState
EVENT_STATE_DISPATCHED: EventState
EVENT_STATE_FAILED: EventState
EVENT_STATE_DEAD_LETTER: EventState

class Event(_message.Message):
    __slots__ = ("id", "subject", "tenant_id", "resource_id", "payload", "metadata", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    subject: str
    tenant_id: str
    resource_id: str
    payload: _any_pb2.Any
    metadata: EventMetadata
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., subject: _Optional[str] = ..., tenant_id: _Optional[str] = ..., resource_id: _Optional[str] = ..., payload: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., metadata: _Optional[_Union[EventMetadata, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EventMetadata(_message.Message):
    __slots__ = ("correlation_id", "causation_id", "actor", "traceparent", "ordering_key", "resource_version")
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    CAUSATION_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    ORDERING_KEY_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    correlation_id: str
    causation_id: str
    actor: str
    traceparent: str
    ordering_key: str
    resource_version: int
    def __init__(self, correlation_id: _Optional[str] = ..., causation_id: _Optional[str] = ..., actor: _Optional[str] = ..., traceparent: _Optional[str] = ..., ordering_key: _Optional[str] = ..., resource_version: _Optional[int] = ...) -> None: ...

class CustomEvent(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: _struct_pb2.Struct
    def __init__(self, data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("epoch", "shard", "xid", "seq")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SHARD_FIELD_NUMBER: _ClassVar[int]
    XID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    shard: int
    xid: int
    seq: int
    def __init__(self, epoch: _Optional[int] = ..., shard: _Optional[int] = ..., xid: _Optional[int] = ..., seq: _Optional[int] = ...) -> None: ...

class Delivery(_message.Message):
    __slots__ = ("event", "position", "predecessor", "installation")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PREDECESSOR_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_FIELD_NUMBER: _ClassVar[int]
    event: Event
    position: Position
    predecessor: Position
    installation: str
    def __init__(self, event: _Optional[_Union[Event, _Mapping]] = ..., position: _Optional[_Union[Position, _Mapping]] = ..., predecessor: _Optional[_Union[Position, _Mapping]] = ..., installation: _Optional[str] = ...) -> None: ...
