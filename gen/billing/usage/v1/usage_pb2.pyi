import datetime

from billing.catalog.v1 import catalog_pb2 as _catalog_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class UsageOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    USAGE_OUTCOME_UNSPECIFIED: _ClassVar[UsageOutcome]
    USAGE_OUTCOME_ACCEPTED: _ClassVar[UsageOutcome]
    USAGE_OUTCOME_DUPLICATE: _ClassVar[UsageOutcome]
    USAGE_OUTCOME_CONFLICT: _ClassVar[UsageOutcome]
    USAGE_OUTCOME_REJECTED: _ClassVar[UsageOutcome]
USAGE_OUTCOME_UNSPECIFIED: UsageOutcome
USAGE_OUTCOME_ACCEPTED: UsageOutcome
USAGE_OUTCOME_DUPLICATE: UsageOutcome
USAGE_OUTCOME_CONFLICT: UsageOutcome
USAGE_OUTCOME_REJECTED: UsageOutcome

class UsageRecord(_message.Message):
    __slots__ = ("idempotency_key", "subscription_id", "meter_code", "quantity", "recorded_at", "properties")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    idempotency_key: str
    subscription_id: str
    meter_code: str
    quantity: str
    recorded_at: _timestamp_pb2.Timestamp
    properties: _containers.ScalarMap[str, str]
    def __init__(self, idempotency_key: _Optional[str] = ..., subscription_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., quantity: _Optional[str] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., properties: _Optional[_Mapping[str, str]] = ...) -> None: ...

class UsageTotal(_message.Message):
    __slots__ = ("subscription_id", "subscription_item_id", "meter_code", "period", "quantity", "record_count", "billed_quantity", "excluded", "first_recorded_at", "last_recorded_at", "version", "filtered_count", "billed_count", "transform", "aggregation")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    BILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    FIRST_RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FILTERED_COUNT_FIELD_NUMBER: _ClassVar[int]
    BILLED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    subscription_item_id: str
    meter_code: str
    period: _period_pb2.Period
    quantity: str
    record_count: int
    billed_quantity: str
    excluded: bool
    first_recorded_at: _timestamp_pb2.Timestamp
    last_recorded_at: _timestamp_pb2.Timestamp
    version: int
    filtered_count: int
    billed_count: int
    transform: _catalog_pb2.MeterTransform
    aggregation: _catalog_pb2.Aggregation
    def __init__(self, subscription_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., quantity: _Optional[str] = ..., record_count: _Optional[int] = ..., billed_quantity: _Optional[str] = ..., excluded: _Optional[bool] = ..., first_recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., filtered_count: _Optional[int] = ..., billed_count: _Optional[int] = ..., transform: _Optional[_Union[_catalog_pb2.MeterTransform, _Mapping]] = ..., aggregation: _Optional[_Union[_catalog_pb2.Aggregation, str]] = ...) -> None: ...

class UsageBucket(_message.Message):
    __slots__ = ("subscription_item_id", "hour", "quantity", "record_count")
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    HOUR_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    subscription_item_id: str
    hour: _timestamp_pb2.Timestamp
    quantity: str
    record_count: int
    def __init__(self, subscription_item_id: _Optional[str] = ..., hour: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quantity: _Optional[str] = ..., record_count: _Optional[int] = ...) -> None: ...

class UsageBalance(_message.Message):
    __slots__ = ("meter_code", "aggregation", "period_count", "drift_count", "accepted_records", "billed_records", "pending_records", "trial_records", "retracted_records", "accepted_quantity", "billed_quantity", "pending_quantity", "trial_quantity", "retracted_quantity", "voided_quantity", "filtered_records", "filtered_quantity")
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    PERIOD_COUNT_FIELD_NUMBER: _ClassVar[int]
    DRIFT_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    BILLED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    PENDING_RECORDS_FIELD_NUMBER: _ClassVar[int]
    TRIAL_RECORDS_FIELD_NUMBER: _ClassVar[int]
    RETRACTED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    BILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PENDING_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    TRIAL_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RETRACTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    VOIDED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FILTERED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    FILTERED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    meter_code: str
    aggregation: _catalog_pb2.Aggregation
    period_count: int
    drift_count: int
    accepted_records: int
    billed_records: int
    pending_records: int
    trial_records: int
    retracted_records: int
    accepted_quantity: str
    billed_quantity: str
    pending_quantity: str
    trial_quantity: str
    retracted_quantity: str
    voided_quantity: str
    filtered_records: int
    filtered_quantity: str
    def __init__(self, meter_code: _Optional[str] = ..., aggregation: _Optional[_Union[_catalog_pb2.Aggregation, str]] = ..., period_count: _Optional[int] = ..., drift_count: _Optional[int] = ..., accepted_records: _Optional[int] = ..., billed_records: _Optional[int] = ..., pending_records: _Optional[int] = ..., trial_records: _Optional[int] = ..., retracted_records: _Optional[int] = ..., accepted_quantity: _Optional[str] = ..., billed_quantity: _Optional[str] = ..., pending_quantity: _Optional[str] = ..., trial_quantity: _Optional[str] = ..., retracted_quantity: _Optional[str] = ..., voided_quantity: _Optional[str] = ..., filtered_records: _Optional[int] = ..., filtered_quantity: _Optional[str] = ...) -> None: ...

class UsageDrift(_message.Message):
    __slots__ = ("subscription_id", "subscription_item_id", "meter_code", "period_start", "record_count", "quantity", "counted_record_count", "counted_quantity", "billed_quantity", "invoiced_quantity", "filtered_records", "filtered_quantity", "counted_filtered_records", "counted_filtered_quantity")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_START_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    COUNTED_RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    COUNTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    BILLED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    INVOICED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FILTERED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    FILTERED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FILTERED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FILTERED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    subscription_item_id: str
    meter_code: str
    period_start: _timestamp_pb2.Timestamp
    record_count: int
    quantity: str
    counted_record_count: int
    counted_quantity: str
    billed_quantity: str
    invoiced_quantity: str
    filtered_records: int
    filtered_quantity: str
    counted_filtered_records: int
    counted_filtered_quantity: str
    def __init__(self, subscription_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., record_count: _Optional[int] = ..., quantity: _Optional[str] = ..., counted_record_count: _Optional[int] = ..., counted_quantity: _Optional[str] = ..., billed_quantity: _Optional[str] = ..., invoiced_quantity: _Optional[str] = ..., filtered_records: _Optional[int] = ..., filtered_quantity: _Optional[str] = ..., counted_filtered_records: _Optional[int] = ..., counted_filtered_quantity: _Optional[str] = ...) -> None: ...

class UsageCorrection(_message.Message):
    __slots__ = ("id", "idempotency_key", "revision", "subscription_id", "subscription_item_id", "meter_code", "period", "recorded_at", "quantity_before", "quantity", "reason", "actor", "corrected_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    idempotency_key: str
    revision: int
    subscription_id: str
    subscription_item_id: str
    meter_code: str
    period: _period_pb2.Period
    recorded_at: _timestamp_pb2.Timestamp
    quantity_before: str
    quantity: str
    reason: str
    actor: str
    corrected_at: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., revision: _Optional[int] = ..., subscription_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., quantity_before: _Optional[str] = ..., quantity: _Optional[str] = ..., reason: _Optional[str] = ..., actor: _Optional[str] = ..., corrected_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
