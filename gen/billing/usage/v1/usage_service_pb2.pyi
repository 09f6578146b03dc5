import datetime

from billing.options.v1 import options_pb2 as _options_pb2
from billing.usage.v1 import usage_pb2 as _usage_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReportUsageRequest(_message.Message):
    __slots__ = ("tenant_id", "record")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    record: _usage_pb2.UsageRecord
    def __init__(self, tenant_id: _Optional[str] = ..., record: _Optional[_Union[_usage_pb2.UsageRecord, _Mapping]] = ...) -> None: ...

class ReportUsageResponse(_message.Message):
    __slots__ = ("outcome",)
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    outcome: _usage_pb2.UsageOutcome
    def __init__(self, outcome: _Optional[_Union[_usage_pb2.UsageOutcome, str]] = ...) -> None: ...

class BatchReportUsageRequest(_message.Message):
    __slots__ = ("tenant_id", "records")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    records: _containers.RepeatedCompositeFieldContainer[_usage_pb2.UsageRecord]
    def __init__(self, tenant_id: _Optional[str] = ..., records: _Optional[_Iterable[_Union[_usage_pb2.UsageRecord, _Mapping]]] = ...) -> None: ...

class BatchReportUsageResponse(_message.Message):
    __slots__ = ("accepted", "duplicates", "results")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    duplicates: int
    results: _containers.RepeatedCompositeFieldContainer[UsageResult]
    def __init__(self, accepted: _Optional[int] = ..., duplicates: _Optional[int] = ..., results: _Optional[_Iterable[_Union[UsageResult, _Mapping]]] = ...) -> None: ...

class UsageResult(_message.Message):
    __slots__ = ("index", "outcome", "reason", "message", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    outcome: _usage_pb2.UsageOutcome
    reason: str
    message: str
    facts: _containers.ScalarMap[str, str]
    def __init__(self, index: _Optional[int] = ..., outcome: _Optional[_Union[_usage_pb2.UsageOutcome, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class StreamUsageRequest(_message.Message):
    __slots__ = ("tenant_id", "records")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    records: _containers.RepeatedCompositeFieldContainer[_usage_pb2.UsageRecord]
    def __init__(self, tenant_id: _Optional[str] = ..., records: _Optional[_Iterable[_Union[_usage_pb2.UsageRecord, _Mapping]]] = ...) -> None: ...

class StreamUsageResponse(_message.Message):
    __slots__ = ("accepted", "duplicates", "conflicts", "rejected", "problems")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    CONFLICTS_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    duplicates: int
    conflicts: int
    rejected: int
    problems: _containers.RepeatedCompositeFieldContainer[StreamUsageProblem]
    def __init__(self, accepted: _Optional[int] = ..., duplicates: _Optional[int] = ..., conflicts: _Optional[int] = ..., rejected: _Optional[int] = ..., problems: _Optional[_Iterable[_Union[StreamUsageProblem, _Mapping]]] = ...) -> None: ...

class StreamUsageProblem(_message.Message):
    __slots__ = ("index", "outcome", "reason", "message", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    index: int
    outcome: _usage_pb2.UsageOutcome
    reason: str
    message: str
    facts: _containers.ScalarMap[str, str]
    def __init__(self, index: _Optional[int] = ..., outcome: _Optional[_Union[_usage_pb2.UsageOutcome, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ListUsageTotalsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "subscription_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    subscription_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., subscription_id: _Optional[str] = ...) -> None: ...

class ListUsageTotalsResponse(_message.Message):
    __slots__ = ("totals", "next_page_token")
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    totals: _containers.RepeatedCompositeFieldContainer[_usage_pb2.UsageTotal]
    next_page_token: str
    def __init__(self, totals: _Optional[_Iterable[_Union[_usage_pb2.UsageTotal, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListUsageBucketsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "subscription_id", "start", "end", "meter_code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    subscription_id: str
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    meter_code: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., subscription_id: _Optional[str] = ..., start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., meter_code: _Optional[str] = ...) -> None: ...

class ListUsageBucketsResponse(_message.Message):
    __slots__ = ("buckets", "next_page_token")
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    buckets: _containers.RepeatedCompositeFieldContainer[_usage_pb2.UsageBucket]
    next_page_token: str
    def __init__(self, buckets: _Optional[_Iterable[_Union[_usage_pb2.UsageBucket, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ReconcileUsageRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "start", "end", "meter_code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    meter_code: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., meter_code: _Optional[str] = ...) -> None: ...

class ReconcileUsageResponse(_message.Message):
    __slots__ = ("balanced", "balances", "drifts", "next_page_token")
    BALANCED_FIELD_NUMBER: _ClassVar[int]
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    DRIFTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    balanced: bool
    balances: _containers.RepeatedCompositeFieldContainer[_usage_pb2.UsageBalance]
    drifts: _containers.RepeatedCompositeFieldContainer[_usage_pb2.UsageDrift]
    next_page_token: str
    def __init__(self, balanced: _Optional[bool] = ..., balances: _Optional[_Iterable[_Union[_usage_pb2.UsageBalance, _Mapping]]] = ..., drifts: _Optional[_Iterable[_Union[_usage_pb2.UsageDrift, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetractUsageRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "idempotency_key", "reason")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    idempotency_key: str
    reason: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RetractUsageResponse(_message.Message):
    __slots__ = ("outcome", "total")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    outcome: _usage_pb2.UsageOutcome
    total: _usage_pb2.UsageTotal
    def __init__(self, outcome: _Optional[_Union[_usage_pb2.UsageOutcome, str]] = ..., total: _Optional[_Union[_usage_pb2.UsageTotal, _Mapping]] = ...) -> None: ...

class CorrectUsageRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "idempotency_key", "quantity", "reason")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    idempotency_key: str
    quantity: str
    reason: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., quantity: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CorrectUsageResponse(_message.Message):
    __slots__ = ("outcome", "total")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    outcome: _usage_pb2.UsageOutcome
    total: _usage_pb2.UsageTotal
    def __init__(self, outcome: _Optional[_Union[_usage_pb2.UsageOutcome, str]] = ..., total: _Optional[_Union[_usage_pb2.UsageTotal, _Mapping]] = ...) -> None: ...

class ListUsageCorrectionsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "subscription_id", "idempotency_key")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    subscription_id: str
    idempotency_key: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., subscription_id: _Optional[str] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class ListUsageCorrectionsResponse(_message.Message):
    __slots__ = ("corrections", "next_page_token")
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    corrections: _containers.RepeatedCompositeFieldContainer[_usage_pb2.UsageCorrection]
    next_page_token: str
    def __init__(self, corrections: _Optional[_Iterable[_Union[_usage_pb2.UsageCorrection, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
