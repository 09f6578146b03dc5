from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class Language(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LANGUAGE_UNSPECIFIED: _ClassVar[Language]
    LANGUAGE_EN: _ClassVar[Language]
    LANGUAGE_DE: _ClassVar[Language]
    LANGUAGE_FR: _ClassVar[Language]
    LANGUAGE_ES: _ClassVar[Language]
    LANGUAGE_AR: _ClassVar[Language]
    LANGUAGE_JA: _ClassVar[Language]
LANGUAGE_UNSPECIFIED: Language
LANGUAGE_EN: Language
LANGUAGE_DE: Language
LANGUAGE_FR: Language
LANGUAGE_ES: Language
LANGUAGE_AR: Language
LANGUAGE_JA: Language
