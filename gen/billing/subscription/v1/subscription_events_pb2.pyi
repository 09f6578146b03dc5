import datetime

from billing.options.v1 import options_pb2 as _options_pb2
from billing.subscription.v1 import subscription_pb2 as _subscription_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscriptionCreated(_message.Message):
    __slots__ = ("subscription_id", "customer_id", "plan_id", "state", "current_period")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_PERIOD_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    customer_id: str
    plan_id: str
    state: _subscription_pb2.SubscriptionState
    current_period: _period_pb2.Period
    def __init__(self, subscription_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., plan_id: _Optional[str] = ..., state: _Optional[_Union[_subscription_pb2.SubscriptionState, str]] = ..., current_period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ...) -> None: ...

class SubscriptionUpdated(_message.Message):
    __slots__ = ("subscription_id", "changed_fields")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    changed_fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, subscription_id: _Optional[str] = ..., changed_fields: _Optional[_Iterable[str]] = ...) -> None: ...

class SubscriptionStatusChanged(_message.Message):
    __slots__ = ("subscription_id", "to")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    to: _subscription_pb2.SubscriptionState
    def __init__(self, subscription_id: _Optional[str] = ..., to: _Optional[_Union[_subscription_pb2.SubscriptionState, str]] = ..., **kwargs) -> None: ...

class SubscriptionRenewed(_message.Message):
    __slots__ = ("subscription_id", "current_period")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENT_PERIOD_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    current_period: _period_pb2.Period
    def __init__(self, subscription_id: _Optional[str] = ..., current_period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ...) -> None: ...

class SubscriptionCanceled(_message.Message):
    __slots__ = ("subscription_id", "at_period_end")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    AT_PERIOD_END_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    at_period_end: bool
    def __init__(self, subscription_id: _Optional[str] = ..., at_period_end: _Optional[bool] = ...) -> None: ...

class SubscriptionPriceUpdated(_message.Message):
    __slots__ = ("subscription_id", "change_id", "effective_at", "old_price_ids", "new_price_ids", "plan_id")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGE_ID_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_AT_FIELD_NUMBER: _ClassVar[int]
    OLD_PRICE_IDS_FIELD_NUMBER: _ClassVar[int]
    NEW_PRICE_IDS_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    change_id: str
    effective_at: _timestamp_pb2.Timestamp
    old_price_ids: _containers.RepeatedScalarFieldContainer[str]
    new_price_ids: _containers.RepeatedScalarFieldContainer[str]
    plan_id: str
    def __init__(self, subscription_id: _Optional[str] = ..., change_id: _Optional[str] = ..., effective_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., old_price_ids: _Optional[_Iterable[str]] = ..., new_price_ids: _Optional[_Iterable[str]] = ..., plan_id: _Optional[str] = ...) -> None: ...

class SubscriptionPaused(_message.Message):
    __slots__ = ("subscription_id",)
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    def __init__(self, subscription_id: _Optional[str] = ...) -> None: ...

class SubscriptionResumed(_message.Message):
    __slots__ = ("subscription_id",)
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    subscription_id: str
    def __init__(self, subscription_id: _Optional[str] = ...) -> None: ...
