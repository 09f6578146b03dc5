from billing.branding.v1 import branding_pb2 as _branding_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetBrandingRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class GetBrandingResponse(_message.Message):
    __slots__ = ("branding",)
    BRANDING_FIELD_NUMBER: _ClassVar[int]
    branding: _branding_pb2.Branding
    def __init__(self, branding: _Optional[_Union[_branding_pb2.Branding, _Mapping]] = ...) -> None: ...

class SetBrandingRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "branding")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    BRANDING_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    branding: _branding_pb2.Branding
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., branding: _Optional[_Union[_branding_pb2.Branding, _Mapping]] = ...) -> None: ...

class SetBrandingResponse(_message.Message):
    __slots__ = ("branding",)
    BRANDING_FIELD_NUMBER: _ClassVar[int]
    branding: _branding_pb2.Branding
    def __init__(self, branding: _Optional[_Union[_branding_pb2.Branding, _Mapping]] = ...) -> None: ...
