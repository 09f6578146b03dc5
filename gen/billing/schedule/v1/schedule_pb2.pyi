import datetime

from billing.types.v1 import period_pb2 as _period_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BillingCycleState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BILLING_CYCLE_STATE_UNSPECIFIED: _ClassVar[BillingCycleState]
    BILLING_CYCLE_STATE_SCHEDULED: _ClassVar[BillingCycleState]
    BILLING_CYCLE_STATE_OPEN: _ClassVar[BillingCycleState]
    BILLING_CYCLE_STATE_GRACE: _ClassVar[BillingCycleState]
    BILLING_CYCLE_STATE_CLOSED: _ClassVar[BillingCycleState]
    BILLING_CYCLE_STATE_RATED: _ClassVar[BillingCycleState]
    BILLING_CYCLE_STATE_INVOICED: _ClassVar[BillingCycleState]
BILLING_CYCLE_STATE_UNSPECIFIED: BillingCycleState
BILLING_CYCLE_STATE_SCHEDULED: BillingCycleState
BILLING_CYCLE_STATE_OPEN: BillingCycleState
BILLING_CYCLE_STATE_GRACE: BillingCycleState
BILLING_CYCLE_STATE_CLOSED: BillingCycleState
BILLING_CYCLE_STATE_RATED: BillingCycleState
BILLING_CYCLE_STATE_INVOICED: BillingCycleState

class BillingCycle(_message.Message):
    __slots__ = ("id", "tenant_id", "subscription_id", "customer_id", "period", "full_period", "state", "trial", "due_at", "closed_at", "version", "threshold_minor")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    FULL_PERIOD_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_MINOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    subscription_id: str
    customer_id: str
    period: _period_pb2.Period
    full_period: _period_pb2.Period
    state: BillingCycleState
    trial: bool
    due_at: _timestamp_pb2.Timestamp
    closed_at: _timestamp_pb2.Timestamp
    version: int
    threshold_minor: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., full_period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., state: _Optional[_Union[BillingCycleState, str]] = ..., trial: _Optional[bool] = ..., due_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., closed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., threshold_minor: _Optional[int] = ...) -> None: ...

class TestClock(_message.Message):
    __slots__ = ("tenant_id", "now", "target_at", "ready")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NOW_FIELD_NUMBER: _ClassVar[int]
    TARGET_AT_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    now: _timestamp_pb2.Timestamp
    target_at: _timestamp_pb2.Timestamp
    ready: bool
    def __init__(self, tenant_id: _Optional[str] = ..., now: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., target_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ready: _Optional[bool] = ...) -> None: ...
