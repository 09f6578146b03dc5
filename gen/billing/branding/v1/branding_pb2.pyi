from billing.types.v1 import language_pb2 as _language_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Branding(_message.Message):
    __slots__ = ("display_name", "legal_lines", "tax_id", "accent_color", "logo", "footer", "language")
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    LEGAL_LINES_FIELD_NUMBER: _ClassVar[int]
    TAX_ID_FIELD_NUMBER: _ClassVar[int]
    ACCENT_COLOR_FIELD_NUMBER: _ClassVar[int]
    LOGO_FIELD_NUMBER: _ClassVar[int]
    FOOTER_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    display_name: str
    legal_lines: _containers.RepeatedScalarFieldContainer[str]
    tax_id: str
    accent_color: str
    logo: bytes
    footer: str
    language: _language_pb2.Language
    def __init__(self, display_name: _Optional[str] = ..., legal_lines: _Optional[_Iterable[str]] = ..., tax_id: _Optional[str] = ..., accent_color: _Optional[str] = ..., logo: _Optional[bytes] = ..., footer: _Optional[str] = ..., language: _Optional[_Union[_language_pb2.Language, str]] = ...) -> None: ...
