from billing.options.v1 import options_pb2 as _options_pb2
from billing.replay.v1 import replay_pb2 as _replay_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReplayRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "filter", "handlers", "reason", "dry_run", "max_events_per_second")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    MAX_EVENTS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    filter: _replay_pb2.ReplayFilter
    handlers: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    dry_run: bool
    max_events_per_second: int
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., filter: _Optional[_Union[_replay_pb2.ReplayFilter, _Mapping]] = ..., handlers: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ..., dry_run: _Optional[bool] = ..., max_events_per_second: _Optional[int] = ...) -> None: ...

class ReplayResponse(_message.Message):
    __slots__ = ("replay", "plans")
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    PLANS_FIELD_NUMBER: _ClassVar[int]
    replay: _replay_pb2.Replay
    plans: _containers.RepeatedCompositeFieldContainer[_replay_pb2.ReplayPlan]
    def __init__(self, replay: _Optional[_Union[_replay_pb2.Replay, _Mapping]] = ..., plans: _Optional[_Iterable[_Union[_replay_pb2.ReplayPlan, _Mapping]]] = ...) -> None: ...
