from billing.options.v1 import options_pb2 as _options_pb2
from billing.quota.v1 import entitlement_pb2 as _entitlement_pb2
from billing.quota.v1 import quota_pb2 as _quota_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SetFeatureRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "scope", "subject_id", "code", "meter_code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    METER_CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    scope: _quota_pb2.QuotaScope
    subject_id: str
    code: str
    meter_code: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., scope: _Optional[_Union[_quota_pb2.QuotaScope, str]] = ..., subject_id: _Optional[str] = ..., code: _Optional[str] = ..., meter_code: _Optional[str] = ...) -> None: ...

class SetFeatureResponse(_message.Message):
    __slots__ = ("feature",)
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    feature: _entitlement_pb2.Feature
    def __init__(self, feature: _Optional[_Union[_entitlement_pb2.Feature, _Mapping]] = ...) -> None: ...

class ListFeaturesRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "subject_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    subject_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., subject_id: _Optional[str] = ...) -> None: ...

class ListFeaturesResponse(_message.Message):
    __slots__ = ("features", "next_page_token")
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    features: _containers.RepeatedCompositeFieldContainer[_entitlement_pb2.Feature]
    next_page_token: str
    def __init__(self, features: _Optional[_Iterable[_Union[_entitlement_pb2.Feature, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RemoveFeatureRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "subject_id", "code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    subject_id: str
    code: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., subject_id: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class RemoveFeatureResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckEntitlementRequest(_message.Message):
    __slots__ = ("tenant_id", "question")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    question: _entitlement_pb2.EntitlementQuestion
    def __init__(self, tenant_id: _Optional[str] = ..., question: _Optional[_Union[_entitlement_pb2.EntitlementQuestion, _Mapping]] = ...) -> None: ...

class CheckEntitlementResponse(_message.Message):
    __slots__ = ("entitlement",)
    ENTITLEMENT_FIELD_NUMBER: _ClassVar[int]
    entitlement: _entitlement_pb2.Entitlement
    def __init__(self, entitlement: _Optional[_Union[_entitlement_pb2.Entitlement, _Mapping]] = ...) -> None: ...

class BatchCheckEntitlementsRequest(_message.Message):
    __slots__ = ("tenant_id", "questions")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    questions: _containers.RepeatedCompositeFieldContainer[_entitlement_pb2.EntitlementQuestion]
    def __init__(self, tenant_id: _Optional[str] = ..., questions: _Optional[_Iterable[_Union[_entitlement_pb2.EntitlementQuestion, _Mapping]]] = ...) -> None: ...

class BatchCheckEntitlementsResponse(_message.Message):
    __slots__ = ("entitlements",)
    ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
    entitlements: _containers.RepeatedCompositeFieldContainer[_entitlement_pb2.Entitlement]
    def __init__(self, entitlements: _Optional[_Iterable[_Union[_entitlement_pb2.Entitlement, _Mapping]]] = ...) -> None: ...
