from billing.options.v1 import options_pb2 as _options_pb2
from billing.tenant.v1 import tenant_pb2 as _tenant_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TenantCreated(_message.Message):
    __slots__ = ("tenant_id", "mode", "default_currency")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_CURRENCY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    mode: _tenant_pb2.TenantMode
    default_currency: str
    def __init__(self, tenant_id: _Optional[str] = ..., mode: _Optional[_Union[_tenant_pb2.TenantMode, str]] = ..., default_currency: _Optional[str] = ...) -> None: ...
