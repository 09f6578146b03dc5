import datetime

from billing.access.v1 import api_key_pb2 as _api_key_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ApiKeyCreated(_message.Message):
    __slots__ = ("api_key_id", "role")
    API_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    api_key_id: str
    role: _api_key_pb2.Role
    def __init__(self, api_key_id: _Optional[str] = ..., role: _Optional[_Union[_api_key_pb2.Role, str]] = ...) -> None: ...

class ApiKeyRotated(_message.Message):
    __slots__ = ("api_key_id", "replaced_by", "expires_at")
    API_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    REPLACED_BY_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    api_key_id: str
    replaced_by: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, api_key_id: _Optional[str] = ..., replaced_by: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ApiKeyRevoked(_message.Message):
    __slots__ = ("api_key_id",)
    API_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    api_key_id: str
    def __init__(self, api_key_id: _Optional[str] = ...) -> None: ...
