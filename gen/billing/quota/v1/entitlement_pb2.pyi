import datetime

from billing.quota.v1 import quota_pb2 as _quota_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntitlementReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTITLEMENT_REASON_UNSPECIFIED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_ALLOWED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_ABOVE_SOFT_QUOTA: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_QUOTA_EXCEEDED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_FEATURE_NOT_INCLUDED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_METER_NOT_INCLUDED: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_NO_SUBSCRIPTION: _ClassVar[EntitlementReason]
    ENTITLEMENT_REASON_HOLDER_NOT_FOUND: _ClassVar[EntitlementReason]
ENTITLEMENT_REASON_UNSPECIFIED: EntitlementReason
ENTITLEMENT_REASON_ALLOWED: EntitlementReason
ENTITLEMENT_REASON_ABOVE_SOFT_QUOTA: EntitlementReason
ENTITLEMENT_REASON_QUOTA_EXCEEDED: EntitlementReason
ENTITLEMENT_REASON_FEATURE_NOT_INCLUDED: EntitlementReason
ENTITLEMENT_REASON_METER_NOT_INCLUDED: EntitlementReason
ENTITLEMENT_REASON_NO_SUBSCRIPTION: EntitlementReason
ENTITLEMENT_REASON_HOLDER_NOT_FOUND: EntitlementReason

class Feature(_message.Message):
    __slots__ = ("tenant_id", "scope", "subject_id", "code", "meter_code", "created_at")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    scope: _quota_pb2.QuotaScope
    subject_id: str
    code: str
    meter_code: str
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., scope: _Optional[_Union[_quota_pb2.QuotaScope, str]] = ..., subject_id: _Optional[str] = ..., code: _Optional[str] = ..., meter_code: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EntitlementQuestion(_message.Message):
    __slots__ = ("customer_id", "subscription_id", "feature_code", "meter_code", "quantity")
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_CODE_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    customer_id: str
    subscription_id: str
    feature_code: str
    meter_code: str
    quantity: str
    def __init__(self, customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., feature_code: _Optional[str] = ..., meter_code: _Optional[str] = ..., quantity: _Optional[str] = ...) -> None: ...

class Entitlement(_message.Message):
    __slots__ = ("allowed", "reason", "subscription_id", "quota_id", "enforcement", "limit_quantity", "used_quantity", "remaining_quantity", "period")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    QUOTA_ID_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    USED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    REMAINING_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    allowed: bool
    reason: EntitlementReason
    subscription_id: str
    quota_id: str
    enforcement: _quota_pb2.QuotaEnforcement
    limit_quantity: str
    used_quantity: str
    remaining_quantity: str
    period: _period_pb2.Period
    def __init__(self, allowed: _Optional[bool] = ..., reason: _Optional[_Union[EntitlementReason, str]] = ..., subscription_id: _Optional[str] = ..., quota_id: _Optional[str] = ..., enforcement: _Optional[_Union[_quota_pb2.QuotaEnforcement, str]] = ..., limit_quantity: _Optional[str] = ..., used_quantity: _Optional[str] = ..., remaining_quantity: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ...) -> None: ...
