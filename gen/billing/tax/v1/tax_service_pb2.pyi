from billing.options.v1 import options_pb2 as _options_pb2
from billing.tax.v1 import tax_pb2 as _tax_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateTaxRateRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "name", "country", "region", "category", "percent", "compound")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    COMPOUND_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    name: str
    country: str
    region: str
    category: str
    percent: str
    compound: bool
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., name: _Optional[str] = ..., country: _Optional[str] = ..., region: _Optional[str] = ..., category: _Optional[str] = ..., percent: _Optional[str] = ..., compound: _Optional[bool] = ...) -> None: ...

class CreateTaxRateResponse(_message.Message):
    __slots__ = ("tax_rate",)
    TAX_RATE_FIELD_NUMBER: _ClassVar[int]
    tax_rate: _tax_pb2.TaxRate
    def __init__(self, tax_rate: _Optional[_Union[_tax_pb2.TaxRate, _Mapping]] = ...) -> None: ...

class ListTaxRatesRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "country")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    COUNTRY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    country: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., country: _Optional[str] = ...) -> None: ...

class ListTaxRatesResponse(_message.Message):
    __slots__ = ("tax_rates", "next_page_token")
    TAX_RATES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    tax_rates: _containers.RepeatedCompositeFieldContainer[_tax_pb2.TaxRate]
    next_page_token: str
    def __init__(self, tax_rates: _Optional[_Iterable[_Union[_tax_pb2.TaxRate, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ArchiveTaxRateRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "tax_rate_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TAX_RATE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    tax_rate_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., tax_rate_id: _Optional[str] = ...) -> None: ...

class ArchiveTaxRateResponse(_message.Message):
    __slots__ = ("tax_rate",)
    TAX_RATE_FIELD_NUMBER: _ClassVar[int]
    tax_rate: _tax_pb2.TaxRate
    def __init__(self, tax_rate: _Optional[_Union[_tax_pb2.TaxRate, _Mapping]] = ...) -> None: ...

class GetTaxTermsRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class GetTaxTermsResponse(_message.Message):
    __slots__ = ("terms",)
    TERMS_FIELD_NUMBER: _ClassVar[int]
    terms: _tax_pb2.TaxTerms
    def __init__(self, terms: _Optional[_Union[_tax_pb2.TaxTerms, _Mapping]] = ...) -> None: ...

class SetTaxTermsRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "terms")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    terms: _tax_pb2.TaxTerms
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., terms: _Optional[_Union[_tax_pb2.TaxTerms, _Mapping]] = ...) -> None: ...

class SetTaxTermsResponse(_message.Message):
    __slots__ = ("terms",)
    TERMS_FIELD_NUMBER: _ClassVar[int]
    terms: _tax_pb2.TaxTerms
    def __init__(self, terms: _Optional[_Union[_tax_pb2.TaxTerms, _Mapping]] = ...) -> None: ...

class SetTaxExemptionRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "customer_id", "exemption", "reference")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    EXEMPTION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    customer_id: str
    exemption: _tax_pb2.TaxExemption
    reference: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., exemption: _Optional[_Union[_tax_pb2.TaxExemption, str]] = ..., reference: _Optional[str] = ...) -> None: ...

class SetTaxExemptionResponse(_message.Message):
    __slots__ = ("exemption", "reference")
    EXEMPTION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    exemption: _tax_pb2.TaxExemption
    reference: str
    def __init__(self, exemption: _Optional[_Union[_tax_pb2.TaxExemption, str]] = ..., reference: _Optional[str] = ...) -> None: ...

class GetTaxExemptionRequest(_message.Message):
    __slots__ = ("tenant_id", "customer_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    customer_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., customer_id: _Optional[str] = ...) -> None: ...

class GetTaxExemptionResponse(_message.Message):
    __slots__ = ("exemption", "reference")
    EXEMPTION_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    exemption: _tax_pb2.TaxExemption
    reference: str
    def __init__(self, exemption: _Optional[_Union[_tax_pb2.TaxExemption, str]] = ..., reference: _Optional[str] = ...) -> None: ...
