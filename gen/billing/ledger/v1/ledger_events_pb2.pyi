from billing.options.v1 import options_pb2 as _options_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class JournalPosted(_message.Message):
    __slots__ = ("journal_id", "source_type", "source_id", "currency", "amount_minor")
    JOURNAL_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    journal_id: str
    source_type: str
    source_id: str
    currency: str
    amount_minor: int
    def __init__(self, journal_id: _Optional[str] = ..., source_type: _Optional[str] = ..., source_id: _Optional[str] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...
