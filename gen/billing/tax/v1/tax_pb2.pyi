import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaxBehavior(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TAX_BEHAVIOR_UNSPECIFIED: _ClassVar[TaxBehavior]
    TAX_BEHAVIOR_EXCLUSIVE: _ClassVar[TaxBehavior]
    TAX_BEHAVIOR_INCLUSIVE: _ClassVar[TaxBehavior]

class TaxRounding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TAX_ROUNDING_UNSPECIFIED: _ClassVar[TaxRounding]
    TAX_ROUNDING_PER_INVOICE: _ClassVar[TaxRounding]
    TAX_ROUNDING_PER_LINE: _ClassVar[TaxRounding]

class CreditApplication(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CREDIT_APPLICATION_UNSPECIFIED: _ClassVar[CreditApplication]
    CREDIT_APPLICATION_BEFORE_TAX: _ClassVar[CreditApplication]
    CREDIT_APPLICATION_AFTER_TAX: _ClassVar[CreditApplication]

class TaxExemption(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TAX_EXEMPTION_UNSPECIFIED: _ClassVar[TaxExemption]
    TAX_EXEMPTION_EXEMPT: _ClassVar[TaxExemption]
    TAX_EXEMPTION_REVERSE_CHARGE: _ClassVar[TaxExemption]
TAX_BEHAVIOR_UNSPECIFIED: TaxBehavior
TAX_BEHAVIOR_EXCLUSIVE: TaxBehavior
TAX_BEHAVIOR_INCLUSIVE: TaxBehavior
TAX_ROUNDING_UNSPECIFIED: TaxRounding
TAX_ROUNDING_PER_INVOICE: TaxRounding
TAX_ROUNDING_PER_LINE: TaxRounding
CREDIT_APPLICATION_UNSPECIFIED: CreditApplication
CREDIT_APPLICATION_BEFORE_TAX: CreditApplication
CREDIT_APPLICATION_AFTER_TAX: CreditApplication
TAX_EXEMPTION_UNSPECIFIED: TaxExemption
TAX_EXEMPTION_EXEMPT: TaxExemption
TAX_EXEMPTION_REVERSE_CHARGE: TaxExemption

class TaxTerms(_message.Message):
    __slots__ = ("behavior", "rounding", "credit_application")
    BEHAVIOR_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_FIELD_NUMBER: _ClassVar[int]
    CREDIT_APPLICATION_FIELD_NUMBER: _ClassVar[int]
    behavior: TaxBehavior
    rounding: TaxRounding
    credit_application: CreditApplication
    def __init__(self, behavior: _Optional[_Union[TaxBehavior, str]] = ..., rounding: _Optional[_Union[TaxRounding, str]] = ..., credit_application: _Optional[_Union[CreditApplication, str]] = ...) -> None: ...

class TaxRate(_message.Message):
    __slots__ = ("id", "tenant_id", "name", "country", "region", "category", "percent", "compound", "created_at", "archived_at", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    COMPOUND_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    name: str
    country: str
    region: str
    category: str
    percent: str
    compound: bool
    created_at: _timestamp_pb2.Timestamp
    archived_at: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., name: _Optional[str] = ..., country: _Optional[str] = ..., region: _Optional[str] = ..., category: _Optional[str] = ..., percent: _Optional[str] = ..., compound: _Optional[bool] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., archived_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...
