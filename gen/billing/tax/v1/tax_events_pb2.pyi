from billing.options.v1 import options_pb2 as _options_pb2
from billing.tax.v1 import tax_pb2 as _tax_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TaxRateCreated(_message.Message):
    __slots__ = ("tax_rate_id", "country", "region", "category", "percent")
    TAX_RATE_ID_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    tax_rate_id: str
    country: str
    region: str
    category: str
    percent: str
    def __init__(self, tax_rate_id: _Optional[str] = ..., country: _Optional[str] = ..., region: _Optional[str] = ..., category: _Optional[str] = ..., percent: _Optional[str] = ...) -> None: ...

class TaxRateArchived(_message.Message):
    __slots__ = ("tax_rate_id",)
    TAX_RATE_ID_FIELD_NUMBER: _ClassVar[int]
    tax_rate_id: str
    def __init__(self, tax_rate_id: _Optional[str] = ...) -> None: ...

class TaxTermsChanged(_message.Message):
    __slots__ = ("behavior", "rounding", "credit_application")
    BEHAVIOR_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_FIELD_NUMBER: _ClassVar[int]
    CREDIT_APPLICATION_FIELD_NUMBER: _ClassVar[int]
    behavior: _tax_pb2.TaxBehavior
    rounding: _tax_pb2.TaxRounding
    credit_application: _tax_pb2.CreditApplication
    def __init__(self, behavior: _Optional[_Union[_tax_pb2.TaxBehavior, str]] = ..., rounding: _Optional[_Union[_tax_pb2.TaxRounding, str]] = ..., credit_application: _Optional[_Union[_tax_pb2.CreditApplication, str]] = ...) -> None: ...

class TaxExemptionChanged(_message.Message):
    __slots__ = ("customer_id", "exemption")
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    EXEMPTION_FIELD_NUMBER: _ClassVar[int]
    customer_id: str
    exemption: _tax_pb2.TaxExemption
    def __init__(self, customer_id: _Optional[str] = ..., exemption: _Optional[_Union[_tax_pb2.TaxExemption, str]] = ...) -> None: ...
