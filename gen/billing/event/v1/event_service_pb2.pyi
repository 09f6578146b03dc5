import datetime

from billing.event.v1 import event_pb2 as _event_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from billing.webhook.v1 import webhook_pb2 as _webhook_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HandlerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HANDLER_STATE_UNSPECIFIED: _ClassVar[HandlerState]
    HANDLER_STATE_WAITING: _ClassVar[HandlerState]
    HANDLER_STATE_HANDLED: _ClassVar[HandlerState]
    HANDLER_STATE_FAILED: _ClassVar[HandlerState]
    HANDLER_STATE_BLOCKED: _ClassVar[HandlerState]
    HANDLER_STATE_DEAD_LETTER: _ClassVar[HandlerState]
    HANDLER_STATE_DISCARDED: _ClassVar[HandlerState]
    HANDLER_STATE_REPLAYING: _ClassVar[HandlerState]
HANDLER_STATE_UNSPECIFIED: HandlerState
HANDLER_STATE_WAITING: HandlerState
HANDLER_STATE_HANDLED: HandlerState
HANDLER_STATE_FAILED: HandlerState
HANDLER_STATE_BLOCKED: HandlerState
HANDLER_STATE_DEAD_LETTER: HandlerState
HANDLER_STATE_DISCARDED: HandlerState
HANDLER_STATE_REPLAYING: HandlerState

class GetEventRequest(_message.Message):
    __slots__ = ("tenant_id", "event_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    event_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., event_id: _Optional[str] = ...) -> None: ...

class GetEventResponse(_message.Message):
    __slots__ = ("event", "state", "failures", "handlers", "webhooks", "last_replayed_at")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    WEBHOOKS_FIELD_NUMBER: _ClassVar[int]
    LAST_REPLAYED_AT_FIELD_NUMBER: _ClassVar[int]
    event: _event_pb2.Event
    state: _event_pb2.EventState
    failures: _containers.RepeatedCompositeFieldContainer[HandlerFailure]
    handlers: _containers.RepeatedCompositeFieldContainer[HandlerOutcome]
    webhooks: _containers.RepeatedCompositeFieldContainer[WebhookOutcome]
    last_replayed_at: _timestamp_pb2.Timestamp
    def __init__(self, event: _Optional[_Union[_event_pb2.Event, _Mapping]] = ..., state: _Optional[_Union[_event_pb2.EventState, str]] = ..., failures: _Optional[_Iterable[_Union[HandlerFailure, _Mapping]]] = ..., handlers: _Optional[_Iterable[_Union[HandlerOutcome, _Mapping]]] = ..., webhooks: _Optional[_Iterable[_Union[WebhookOutcome, _Mapping]]] = ..., last_replayed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class HandlerFailure(_message.Message):
    __slots__ = ("handler", "attempts", "error", "next_attempt_at", "state")
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_AT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    handler: str
    attempts: int
    error: str
    next_attempt_at: _timestamp_pb2.Timestamp
    state: _event_pb2.EventState
    def __init__(self, handler: _Optional[str] = ..., attempts: _Optional[int] = ..., error: _Optional[str] = ..., next_attempt_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., state: _Optional[_Union[_event_pb2.EventState, str]] = ...) -> None: ...

class HandlerOutcome(_message.Message):
    __slots__ = ("handler", "state", "attempts", "error", "next_attempt_at", "handled_at", "duration", "worker")
    HANDLER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_AT_FIELD_NUMBER: _ClassVar[int]
    HANDLED_AT_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    handler: str
    state: HandlerState
    attempts: int
    error: str
    next_attempt_at: _timestamp_pb2.Timestamp
    handled_at: _timestamp_pb2.Timestamp
    duration: _duration_pb2.Duration
    worker: str
    def __init__(self, handler: _Optional[str] = ..., state: _Optional[_Union[HandlerState, str]] = ..., attempts: _Optional[int] = ..., error: _Optional[str] = ..., next_attempt_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., handled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., worker: _Optional[str] = ...) -> None: ...

class WebhookOutcome(_message.Message):
    __slots__ = ("webhook_id", "delivery_id", "state", "attempts", "last_status_code", "last_error")
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LAST_STATUS_CODE_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    webhook_id: str
    delivery_id: str
    state: _webhook_pb2.WebhookDeliveryState
    attempts: int
    last_status_code: int
    last_error: str
    def __init__(self, webhook_id: _Optional[str] = ..., delivery_id: _Optional[str] = ..., state: _Optional[_Union[_webhook_pb2.WebhookDeliveryState, str]] = ..., attempts: _Optional[int] = ..., last_status_code: _Optional[int] = ..., last_error: _Optional[str] = ...) -> None: ...

class ListEventsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "subject", "resource_id", "correlation_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    subject: str
    resource_id: str
    correlation_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., subject: _Optional[str] = ..., resource_id: _Optional[str] = ..., correlation_id: _Optional[str] = ...) -> None: ...

class ListEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_event_pb2.Event]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[_event_pb2.Event, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("tenant_id", "subjects", "resource_id", "correlation_id", "resume_token")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    subjects: _containers.RepeatedScalarFieldContainer[str]
    resource_id: str
    correlation_id: str
    resume_token: str
    def __init__(self, tenant_id: _Optional[str] = ..., subjects: _Optional[_Iterable[str]] = ..., resource_id: _Optional[str] = ..., correlation_id: _Optional[str] = ..., resume_token: _Optional[str] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("event", "resume_token")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    event: _event_pb2.Event
    resume_token: str
    def __init__(self, event: _Optional[_Union[_event_pb2.Event, _Mapping]] = ..., resume_token: _Optional[str] = ...) -> None: ...

class PublishEventRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "subject", "resource_id", "data")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    subject: str
    resource_id: str
    data: _struct_pb2.Struct
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., subject: _Optional[str] = ..., resource_id: _Optional[str] = ..., data: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class PublishEventResponse(_message.Message):
    __slots__ = ("event",)
    EVENT_FIELD_NUMBER: _ClassVar[int]
    event: _event_pb2.Event
    def __init__(self, event: _Optional[_Union[_event_pb2.Event, _Mapping]] = ...) -> None: ...

class TraceEventsRequest(_message.Message):
    __slots__ = ("tenant_id", "correlation_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    correlation_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., correlation_id: _Optional[str] = ...) -> None: ...

class TraceEventsResponse(_message.Message):
    __slots__ = ("events", "truncated")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[TracedEvent]
    truncated: bool
    def __init__(self, events: _Optional[_Iterable[_Union[TracedEvent, _Mapping]]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class TracedEvent(_message.Message):
    __slots__ = ("event", "depth", "state", "failures", "handlers", "webhooks")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    HANDLERS_FIELD_NUMBER: _ClassVar[int]
    WEBHOOKS_FIELD_NUMBER: _ClassVar[int]
    event: _event_pb2.Event
    depth: int
    state: _event_pb2.EventState
    failures: _containers.RepeatedCompositeFieldContainer[HandlerFailure]
    handlers: _containers.RepeatedCompositeFieldContainer[HandlerOutcome]
    webhooks: _containers.RepeatedCompositeFieldContainer[WebhookOutcome]
    def __init__(self, event: _Optional[_Union[_event_pb2.Event, _Mapping]] = ..., depth: _Optional[int] = ..., state: _Optional[_Union[_event_pb2.EventState, str]] = ..., failures: _Optional[_Iterable[_Union[HandlerFailure, _Mapping]]] = ..., handlers: _Optional[_Iterable[_Union[HandlerOutcome, _Mapping]]] = ..., webhooks: _Optional[_Iterable[_Union[WebhookOutcome, _Mapping]]] = ...) -> None: ...
