import datetime

from billing.options.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BillingCycleClosed(_message.Message):
    __slots__ = ("cycle_id", "tenant_id", "subscription_id", "period_end", "usage_summary", "customer_id", "period_start")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    PERIOD_END_FIELD_NUMBER: _ClassVar[int]
    USAGE_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PERIOD_START_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    tenant_id: str
    subscription_id: str
    period_end: _timestamp_pb2.Timestamp
    usage_summary: _containers.RepeatedCompositeFieldContainer[UsageSummary]
    customer_id: str
    period_start: _timestamp_pb2.Timestamp
    def __init__(self, cycle_id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., period_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., usage_summary: _Optional[_Iterable[_Union[UsageSummary, _Mapping]]] = ..., customer_id: _Optional[str] = ..., period_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class UsageSummary(_message.Message):
    __slots__ = ("subscription_item_id", "meter_code", "quantity", "record_count")
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    subscription_item_id: str
    meter_code: str
    quantity: str
    record_count: int
    def __init__(self, subscription_item_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., quantity: _Optional[str] = ..., record_count: _Optional[int] = ...) -> None: ...

class BillingInvoicePending(_message.Message):
    __slots__ = ("cycle_id", "subscription_id", "customer_id")
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    cycle_id: str
    subscription_id: str
    customer_id: str
    def __init__(self, cycle_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., customer_id: _Optional[str] = ...) -> None: ...

class TestClockAdvanced(_message.Message):
    __slots__ = ("now",)
    NOW_FIELD_NUMBER: _ClassVar[int]
    now: _timestamp_pb2.Timestamp
    def __init__(self, now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
