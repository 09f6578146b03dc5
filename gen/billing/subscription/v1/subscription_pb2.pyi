import datetime

from billing.types.v1 import period_pb2 as _period_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscriptionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBSCRIPTION_STATE_UNSPECIFIED: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_CREATED: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_TRIALING: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_ACTIVE: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_CANCELED: _ClassVar[SubscriptionState]
    SUBSCRIPTION_STATE_PAUSED: _ClassVar[SubscriptionState]

class ProrationBehavior(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRORATION_BEHAVIOR_UNSPECIFIED: _ClassVar[ProrationBehavior]
    PRORATION_BEHAVIOR_CREATE_PRORATIONS: _ClassVar[ProrationBehavior]
    PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY: _ClassVar[ProrationBehavior]
    PRORATION_BEHAVIOR_NONE: _ClassVar[ProrationBehavior]

class SubscriptionChangeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUBSCRIPTION_CHANGE_STATE_UNSPECIFIED: _ClassVar[SubscriptionChangeState]
    SUBSCRIPTION_CHANGE_STATE_SCHEDULED: _ClassVar[SubscriptionChangeState]
    SUBSCRIPTION_CHANGE_STATE_APPLIED: _ClassVar[SubscriptionChangeState]
    SUBSCRIPTION_CHANGE_STATE_CANCELED: _ClassVar[SubscriptionChangeState]
SUBSCRIPTION_STATE_UNSPECIFIED: SubscriptionState
SUBSCRIPTION_STATE_CREATED: SubscriptionState
SUBSCRIPTION_STATE_TRIALING: SubscriptionState
SUBSCRIPTION_STATE_ACTIVE: SubscriptionState
SUBSCRIPTION_STATE_CANCELED: SubscriptionState
SUBSCRIPTION_STATE_PAUSED: SubscriptionState
PRORATION_BEHAVIOR_UNSPECIFIED: ProrationBehavior
PRORATION_BEHAVIOR_CREATE_PRORATIONS: ProrationBehavior
PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY: ProrationBehavior
PRORATION_BEHAVIOR_NONE: ProrationBehavior
SUBSCRIPTION_CHANGE_STATE_UNSPECIFIED: SubscriptionChangeState
SUBSCRIPTION_CHANGE_STATE_SCHEDULED: SubscriptionChangeState
SUBSCRIPTION_CHANGE_STATE_APPLIED: SubscriptionChangeState
SUBSCRIPTION_CHANGE_STATE_CANCELED: SubscriptionChangeState

class Subscription(_message.Message):
    __slots__ = ("id", "tenant_id", "customer_id", "plan_id", "state", "currency", "items", "interval_unit", "interval_count", "timezone", "anchor_at", "start_at", "trial_end_at", "current_period_start", "current_period_end", "cancel_at_period_end", "canceled_at", "ended_at", "created_at", "version", "paused_at", "next_change_at", "minimum_commitment_minor", "spend_thresholds")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_UNIT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_AT_FIELD_NUMBER: _ClassVar[int]
    START_AT_FIELD_NUMBER: _ClassVar[int]
    TRIAL_END_AT_FIELD_NUMBER: _ClassVar[int]
    CURRENT_PERIOD_START_FIELD_NUMBER: _ClassVar[int]
    CURRENT_PERIOD_END_FIELD_NUMBER: _ClassVar[int]
    CANCEL_AT_PERIOD_END_FIELD_NUMBER: _ClassVar[int]
    CANCELED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PAUSED_AT_FIELD_NUMBER: _ClassVar[int]
    NEXT_CHANGE_AT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_COMMITMENT_MINOR_FIELD_NUMBER: _ClassVar[int]
    SPEND_THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    customer_id: str
    plan_id: str
    state: SubscriptionState
    currency: str
    items: _containers.RepeatedCompositeFieldContainer[SubscriptionItem]
    interval_unit: _period_pb2.IntervalUnit
    interval_count: int
    timezone: str
    anchor_at: _timestamp_pb2.Timestamp
    start_at: _timestamp_pb2.Timestamp
    trial_end_at: _timestamp_pb2.Timestamp
    current_period_start: _timestamp_pb2.Timestamp
    current_period_end: _timestamp_pb2.Timestamp
    cancel_at_period_end: bool
    canceled_at: _timestamp_pb2.Timestamp
    ended_at: _timestamp_pb2.Timestamp
    created_at: _timestamp_pb2.Timestamp
    version: int
    paused_at: _timestamp_pb2.Timestamp
    next_change_at: _timestamp_pb2.Timestamp
    minimum_commitment_minor: int
    spend_thresholds: _containers.RepeatedCompositeFieldContainer[SpendThreshold]
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., plan_id: _Optional[str] = ..., state: _Optional[_Union[SubscriptionState, str]] = ..., currency: _Optional[str] = ..., items: _Optional[_Iterable[_Union[SubscriptionItem, _Mapping]]] = ..., interval_unit: _Optional[_Union[_period_pb2.IntervalUnit, str]] = ..., interval_count: _Optional[int] = ..., timezone: _Optional[str] = ..., anchor_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., trial_end_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., current_period_start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., current_period_end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., cancel_at_period_end: _Optional[bool] = ..., canceled_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., paused_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_change_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., minimum_commitment_minor: _Optional[int] = ..., spend_thresholds: _Optional[_Iterable[_Union[SpendThreshold, _Mapping]]] = ...) -> None: ...

class SpendThreshold(_message.Message):
    __slots__ = ("amount_minor", "recurring")
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    RECURRING_FIELD_NUMBER: _ClassVar[int]
    amount_minor: int
    recurring: bool
    def __init__(self, amount_minor: _Optional[int] = ..., recurring: _Optional[bool] = ...) -> None: ...

class SubscriptionItem(_message.Message):
    __slots__ = ("id", "price_id", "meter_code", "quantity", "one_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ONE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    price_id: str
    meter_code: str
    quantity: str
    one_time: bool
    def __init__(self, id: _Optional[str] = ..., price_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., quantity: _Optional[str] = ..., one_time: _Optional[bool] = ...) -> None: ...

class SubscriptionChange(_message.Message):
    __slots__ = ("id", "tenant_id", "subscription_id", "state", "effective_at", "plan_id", "items", "proration_behavior", "created_at", "minimum_commitment_minor")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_AT_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    PRORATION_BEHAVIOR_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_COMMITMENT_MINOR_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    subscription_id: str
    state: SubscriptionChangeState
    effective_at: _timestamp_pb2.Timestamp
    plan_id: str
    items: _containers.RepeatedCompositeFieldContainer[ChangedItem]
    proration_behavior: ProrationBehavior
    created_at: _timestamp_pb2.Timestamp
    minimum_commitment_minor: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., state: _Optional[_Union[SubscriptionChangeState, str]] = ..., effective_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., plan_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[ChangedItem, _Mapping]]] = ..., proration_behavior: _Optional[_Union[ProrationBehavior, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., minimum_commitment_minor: _Optional[int] = ...) -> None: ...

class ChangedItem(_message.Message):
    __slots__ = ("price_id", "quantity", "one_time")
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ONE_TIME_FIELD_NUMBER: _ClassVar[int]
    price_id: str
    quantity: str
    one_time: bool
    def __init__(self, price_id: _Optional[str] = ..., quantity: _Optional[str] = ..., one_time: _Optional[bool] = ...) -> None: ...
