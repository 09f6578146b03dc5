import datetime

from billing.options.v1 import options_pb2 as _options_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UsageReported(_message.Message):
    __slots__ = ("subscription_id", "subscription_item_id", "meter_code", "period", "record_count", "quantity", "total_quantity", "first_recorded_at", "last_recorded_at", "filtered_count")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FIRST_RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    FILTERED_COUNT_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    subscription_item_id: str
    meter_code: str
    period: _period_pb2.Period
    record_count: int
    quantity: str
    total_quantity: str
    first_recorded_at: _timestamp_pb2.Timestamp
    last_recorded_at: _timestamp_pb2.Timestamp
    filtered_count: int
    def __init__(self, subscription_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., record_count: _Optional[int] = ..., quantity: _Optional[str] = ..., total_quantity: _Optional[str] = ..., first_recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., filtered_count: _Optional[int] = ...) -> None: ...

class UsageRated(_message.Message):
    __slots__ = ("subscription_id", "subscription_item_id", "period", "quantity", "amount", "currency")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    subscription_item_id: str
    period: _period_pb2.Period
    quantity: str
    amount: str
    currency: str
    def __init__(self, subscription_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., quantity: _Optional[str] = ..., amount: _Optional[str] = ..., currency: _Optional[str] = ...) -> None: ...

class UsageBilled(_message.Message):
    __slots__ = ("subscription_id", "subscription_item_id", "period", "quantity", "invoice_id")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    subscription_item_id: str
    period: _period_pb2.Period
    quantity: str
    invoice_id: str
    def __init__(self, subscription_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., quantity: _Optional[str] = ..., invoice_id: _Optional[str] = ...) -> None: ...

class UsageRetracted(_message.Message):
    __slots__ = ("subscription_id", "subscription_item_id", "meter_code", "period", "correction_id", "idempotency_key", "recorded_at", "quantity", "total_quantity")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    subscription_item_id: str
    meter_code: str
    period: _period_pb2.Period
    correction_id: str
    idempotency_key: str
    recorded_at: _timestamp_pb2.Timestamp
    quantity: str
    total_quantity: str
    def __init__(self, subscription_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., correction_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quantity: _Optional[str] = ..., total_quantity: _Optional[str] = ...) -> None: ...

class UsageCorrected(_message.Message):
    __slots__ = ("subscription_id", "subscription_item_id", "meter_code", "period", "correction_id", "idempotency_key", "recorded_at", "quantity_before", "quantity", "total_quantity")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    subscription_item_id: str
    meter_code: str
    period: _period_pb2.Period
    correction_id: str
    idempotency_key: str
    recorded_at: _timestamp_pb2.Timestamp
    quantity_before: str
    quantity: str
    total_quantity: str
    def __init__(self, subscription_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., correction_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quantity_before: _Optional[str] = ..., quantity: _Optional[str] = ..., total_quantity: _Optional[str] = ...) -> None: ...
