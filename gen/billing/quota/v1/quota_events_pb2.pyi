from billing.options.v1 import options_pb2 as _options_pb2
from billing.quota.v1 import quota_pb2 as _quota_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class QuotaSet(_message.Message):
    __slots__ = ("quota_id", "scope", "subject_id", "meter_code", "period", "limit_quantity", "enforcement")
    QUOTA_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    quota_id: str
    scope: _quota_pb2.QuotaScope
    subject_id: str
    meter_code: str
    period: _quota_pb2.QuotaPeriod
    limit_quantity: str
    enforcement: _quota_pb2.QuotaEnforcement
    def __init__(self, quota_id: _Optional[str] = ..., scope: _Optional[_Union[_quota_pb2.QuotaScope, str]] = ..., subject_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period: _Optional[_Union[_quota_pb2.QuotaPeriod, str]] = ..., limit_quantity: _Optional[str] = ..., enforcement: _Optional[_Union[_quota_pb2.QuotaEnforcement, str]] = ...) -> None: ...

class QuotaRemoved(_message.Message):
    __slots__ = ("quota_id", "scope", "subject_id")
    QUOTA_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    quota_id: str
    scope: _quota_pb2.QuotaScope
    subject_id: str
    def __init__(self, quota_id: _Optional[str] = ..., scope: _Optional[_Union[_quota_pb2.QuotaScope, str]] = ..., subject_id: _Optional[str] = ...) -> None: ...

class FeatureSet(_message.Message):
    __slots__ = ("scope", "subject_id", "code", "meter_code")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    scope: _quota_pb2.QuotaScope
    subject_id: str
    code: str
    meter_code: str
    def __init__(self, scope: _Optional[_Union[_quota_pb2.QuotaScope, str]] = ..., subject_id: _Optional[str] = ..., code: _Optional[str] = ..., meter_code: _Optional[str] = ...) -> None: ...

class FeatureRemoved(_message.Message):
    __slots__ = ("scope", "subject_id", "code")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    scope: _quota_pb2.QuotaScope
    subject_id: str
    code: str
    def __init__(self, scope: _Optional[_Union[_quota_pb2.QuotaScope, str]] = ..., subject_id: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class QuotaUse(_message.Message):
    __slots__ = ("quota_id", "scope", "subject_id", "customer_id", "meter_code", "period", "limit_quantity", "used_quantity", "percent_used", "enforcement")
    QUOTA_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    USED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PERCENT_USED_FIELD_NUMBER: _ClassVar[int]
    ENFORCEMENT_FIELD_NUMBER: _ClassVar[int]
    quota_id: str
    scope: _quota_pb2.QuotaScope
    subject_id: str
    customer_id: str
    meter_code: str
    period: _period_pb2.Period
    limit_quantity: str
    used_quantity: str
    percent_used: str
    enforcement: _quota_pb2.QuotaEnforcement
    def __init__(self, quota_id: _Optional[str] = ..., scope: _Optional[_Union[_quota_pb2.QuotaScope, str]] = ..., subject_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., meter_code: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., limit_quantity: _Optional[str] = ..., used_quantity: _Optional[str] = ..., percent_used: _Optional[str] = ..., enforcement: _Optional[_Union[_quota_pb2.QuotaEnforcement, str]] = ...) -> None: ...

class UsageQuotaWarning(_message.Message):
    __slots__ = ("use",)
    USE_FIELD_NUMBER: _ClassVar[int]
    use: QuotaUse
    def __init__(self, use: _Optional[_Union[QuotaUse, _Mapping]] = ...) -> None: ...

class UsageQuotaExceeded(_message.Message):
    __slots__ = ("use",)
    USE_FIELD_NUMBER: _ClassVar[int]
    use: QuotaUse
    def __init__(self, use: _Optional[_Union[QuotaUse, _Mapping]] = ...) -> None: ...

class UsageThresholdReached(_message.Message):
    __slots__ = ("use", "threshold_quantity")
    USE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    use: QuotaUse
    threshold_quantity: str
    def __init__(self, use: _Optional[_Union[QuotaUse, _Mapping]] = ..., threshold_quantity: _Optional[str] = ...) -> None: ...
