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

class ReplayState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLAY_STATE_UNSPECIFIED: _ClassVar[ReplayState]
    REPLAY_STATE_COUNTING: _ClassVar[ReplayState]
    REPLAY_STATE_RUNNING: _ClassVar[ReplayState]
    REPLAY_STATE_FINISHED: _ClassVar[ReplayState]
    REPLAY_STATE_DRY_RUN: _ClassVar[ReplayState]
REPLAY_STATE_UNSPECIFIED: ReplayState
REPLAY_STATE_COUNTING: ReplayState
REPLAY_STATE_RUNNING: ReplayState
REPLAY_STATE_FINISHED: ReplayState
REPLAY_STATE_DRY_RUN: ReplayState

class ReplayFilter(_message.Message):
    __slots__ = ("event_ids", "subject", "since", "until", "correlation_id")
    EVENT_IDS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    event_ids: _containers.RepeatedScalarFieldContainer[str]
    subject: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    correlation_id: str
    def __init__(self, event_ids: _Optional[_Iterable[str]] = ..., subject: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., correlation_id: _Optional[str] = ...) -> None: ...

class Replay(_message.Message):
    __slots__ = ("id", "filter", "handlers", "reason", "actor", "state", "progress", "started_at", "finished_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    filter: ReplayFilter
    handlers: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    actor: str
    state: ReplayState
    progress: ReplayProgress
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., filter: _Optional[_Union[ReplayFilter, _Mapping]] = ..., handlers: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ..., actor: _Optional[str] = ..., state: _Optional[_Union[ReplayState, str]] = ..., progress: _Optional[_Union[ReplayProgress, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReplayProgress(_message.Message):
    __slots__ = ("matched", "remaining", "enqueued", "done", "retrying", "failed", "skipped", "skipped_on_the_way", "skipped_retrying", "skipped_discarded")
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    ENQUEUED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    RETRYING_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_ON_THE_WAY_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_RETRYING_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_DISCARDED_FIELD_NUMBER: _ClassVar[int]
    matched: int
    remaining: int
    enqueued: int
    done: int
    retrying: int
    failed: int
    skipped: int
    skipped_on_the_way: int
    skipped_retrying: int
    skipped_discarded: int
    def __init__(self, matched: _Optional[int] = ..., remaining: _Optional[int] = ..., enqueued: _Optional[int] = ..., done: _Optional[int] = ..., retrying: _Optional[int] = ..., failed: _Optional[int] = ..., skipped: _Optional[int] = ..., skipped_on_the_way: _Optional[int] = ..., skipped_retrying: _Optional[int] = ..., skipped_discarded: _Optional[int] = ...) -> None: ...

class ReplayPlan(_message.Message):
    __slots__ = ("subject", "events", "on_the_way", "dead_letters", "handlers")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ON_THE_WAY_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    subject: str
    events: int
    on_the_way: int
    dead_letters: int
    handlers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, subject: _Optional[str] = ..., events: _Optional[int] = ..., on_the_way: _Optional[int] = ..., dead_letters: _Optional[int] = ..., handlers: _Optional[_Iterable[str]] = ...) -> None: ...
