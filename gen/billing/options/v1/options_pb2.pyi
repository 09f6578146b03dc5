from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Idempotency(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IDEMPOTENCY_UNSPECIFIED: _ClassVar[Idempotency]
    IDEMPOTENCY_READ: _ClassVar[Idempotency]
    IDEMPOTENCY_REQUEST_ID: _ClassVar[Idempotency]
    IDEMPOTENCY_BY_KEY: _ClassVar[Idempotency]
IDEMPOTENCY_UNSPECIFIED: Idempotency
IDEMPOTENCY_READ: Idempotency
IDEMPOTENCY_REQUEST_ID: Idempotency
IDEMPOTENCY_BY_KEY: Idempotency
POLICY_FIELD_NUMBER: _ClassVar[int]
policy: _descriptor.FieldDescriptor
HTTP_FIELD_NUMBER: _ClassVar[int]
http: _descriptor.FieldDescriptor
EVENT_FIELD_NUMBER: _ClassVar[int]
event: _descriptor.FieldDescriptor
SECRET_FIELD_NUMBER: _ClassVar[int]
secret: _descriptor.FieldDescriptor
PERSONAL_FIELD_NUMBER: _ClassVar[int]
personal: _descriptor.FieldDescriptor

class AccountPolicy(_message.Message):
    __slots__ = ("own", "free")
    OWN_FIELD_NUMBER: _ClassVar[int]
    FREE_FIELD_NUMBER: _ClassVar[int]
    own: _containers.RepeatedScalarFieldContainer[str]
    free: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, own: _Optional[_Iterable[str]] = ..., free: _Optional[_Iterable[str]] = ...) -> None: ...

class MethodPolicy(_message.Message):
    __slots__ = ("permission", "tenant_scoped", "idempotency", "sensitive", "account")
    PERMISSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_SCOPED_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_FIELD_NUMBER: _ClassVar[int]
    SENSITIVE_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    permission: str
    tenant_scoped: bool
    idempotency: Idempotency
    sensitive: bool
    account: AccountPolicy
    def __init__(self, permission: _Optional[str] = ..., tenant_scoped: _Optional[bool] = ..., idempotency: _Optional[_Union[Idempotency, str]] = ..., sensitive: _Optional[bool] = ..., account: _Optional[_Union[AccountPolicy, _Mapping]] = ...) -> None: ...

class HttpPolicy(_message.Message):
    __slots__ = ("status", "created_field", "files", "file_name_field")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_FIELD_NUMBER: _ClassVar[int]
    status: int
    created_field: str
    files: _containers.RepeatedCompositeFieldContainer[HttpFile]
    file_name_field: str
    def __init__(self, status: _Optional[int] = ..., created_field: _Optional[str] = ..., files: _Optional[_Iterable[_Union[HttpFile, _Mapping]]] = ..., file_name_field: _Optional[str] = ...) -> None: ...

class HttpFile(_message.Message):
    __slots__ = ("field", "content_type")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    field: str
    content_type: str
    def __init__(self, field: _Optional[str] = ..., content_type: _Optional[str] = ...) -> None: ...

class EventType(_message.Message):
    __slots__ = ("subject",)
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    subject: str
    def __init__(self, subject: _Optional[str] = ...) -> None: ...
