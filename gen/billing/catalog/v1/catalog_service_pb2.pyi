from billing.catalog.v1 import catalog_pb2 as _catalog_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateProductRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "code", "name", "tax_category")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TAX_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    code: str
    name: str
    tax_category: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., tax_category: _Optional[str] = ...) -> None: ...

class CreateProductResponse(_message.Message):
    __slots__ = ("product",)
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    product: _catalog_pb2.Product
    def __init__(self, product: _Optional[_Union[_catalog_pb2.Product, _Mapping]] = ...) -> None: ...

class GetProductRequest(_message.Message):
    __slots__ = ("tenant_id", "product_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    product_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., product_id: _Optional[str] = ...) -> None: ...

class GetProductResponse(_message.Message):
    __slots__ = ("product",)
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    product: _catalog_pb2.Product
    def __init__(self, product: _Optional[_Union[_catalog_pb2.Product, _Mapping]] = ...) -> None: ...

class ListProductsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    code: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class ListProductsResponse(_message.Message):
    __slots__ = ("products", "next_page_token")
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    products: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.Product]
    next_page_token: str
    def __init__(self, products: _Optional[_Iterable[_Union[_catalog_pb2.Product, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreateMeterRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "code", "name", "aggregation", "unit", "filters", "transform", "unique_property")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_PROPERTY_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    code: str
    name: str
    aggregation: _catalog_pb2.Aggregation
    unit: str
    filters: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.MeterFilter]
    transform: _catalog_pb2.MeterTransform
    unique_property: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., aggregation: _Optional[_Union[_catalog_pb2.Aggregation, str]] = ..., unit: _Optional[str] = ..., filters: _Optional[_Iterable[_Union[_catalog_pb2.MeterFilter, _Mapping]]] = ..., transform: _Optional[_Union[_catalog_pb2.MeterTransform, _Mapping]] = ..., unique_property: _Optional[str] = ...) -> None: ...

class CreateMeterResponse(_message.Message):
    __slots__ = ("meter",)
    METER_FIELD_NUMBER: _ClassVar[int]
    meter: _catalog_pb2.Meter
    def __init__(self, meter: _Optional[_Union[_catalog_pb2.Meter, _Mapping]] = ...) -> None: ...

class GetMeterRequest(_message.Message):
    __slots__ = ("tenant_id", "meter_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    METER_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    meter_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., meter_id: _Optional[str] = ...) -> None: ...

class GetMeterResponse(_message.Message):
    __slots__ = ("meter",)
    METER_FIELD_NUMBER: _ClassVar[int]
    meter: _catalog_pb2.Meter
    def __init__(self, meter: _Optional[_Union[_catalog_pb2.Meter, _Mapping]] = ...) -> None: ...

class ListMetersRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    code: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class ListMetersResponse(_message.Message):
    __slots__ = ("meters", "next_page_token")
    METERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    meters: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.Meter]
    next_page_token: str
    def __init__(self, meters: _Optional[_Iterable[_Union[_catalog_pb2.Meter, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreatePriceRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "product_id", "code", "currency", "model", "usage", "meter_id", "interval_unit", "interval_count", "unit_amount", "unit_size", "tiers", "description", "included_quantity", "minimum_amount", "maximum_amount", "no_flat_amount_when_unused", "dimensions", "cells", "default_unit_amount", "percentage", "one_time", "currency_options")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    METER_ID_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_UNIT_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_SIZE_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    INCLUDED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    NO_FLAT_AMOUNT_WHEN_UNUSED_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PERCENTAGE_FIELD_NUMBER: _ClassVar[int]
    ONE_TIME_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    product_id: str
    code: str
    currency: str
    model: _catalog_pb2.PriceModel
    usage: _catalog_pb2.PriceUsage
    meter_id: str
    interval_unit: _period_pb2.IntervalUnit
    interval_count: int
    unit_amount: str
    unit_size: str
    tiers: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.PriceTier]
    description: str
    included_quantity: str
    minimum_amount: str
    maximum_amount: str
    no_flat_amount_when_unused: bool
    dimensions: _containers.RepeatedScalarFieldContainer[str]
    cells: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.PriceCell]
    default_unit_amount: str
    percentage: _catalog_pb2.PricePercentage
    one_time: bool
    currency_options: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.CurrencyOption]
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., product_id: _Optional[str] = ..., code: _Optional[str] = ..., currency: _Optional[str] = ..., model: _Optional[_Union[_catalog_pb2.PriceModel, str]] = ..., usage: _Optional[_Union[_catalog_pb2.PriceUsage, str]] = ..., meter_id: _Optional[str] = ..., interval_unit: _Optional[_Union[_period_pb2.IntervalUnit, str]] = ..., interval_count: _Optional[int] = ..., unit_amount: _Optional[str] = ..., unit_size: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[_catalog_pb2.PriceTier, _Mapping]]] = ..., description: _Optional[str] = ..., included_quantity: _Optional[str] = ..., minimum_amount: _Optional[str] = ..., maximum_amount: _Optional[str] = ..., no_flat_amount_when_unused: _Optional[bool] = ..., dimensions: _Optional[_Iterable[str]] = ..., cells: _Optional[_Iterable[_Union[_catalog_pb2.PriceCell, _Mapping]]] = ..., default_unit_amount: _Optional[str] = ..., percentage: _Optional[_Union[_catalog_pb2.PricePercentage, _Mapping]] = ..., one_time: _Optional[bool] = ..., currency_options: _Optional[_Iterable[_Union[_catalog_pb2.CurrencyOption, _Mapping]]] = ...) -> None: ...

class CreatePriceResponse(_message.Message):
    __slots__ = ("price",)
    PRICE_FIELD_NUMBER: _ClassVar[int]
    price: _catalog_pb2.Price
    def __init__(self, price: _Optional[_Union[_catalog_pb2.Price, _Mapping]] = ...) -> None: ...

class GetPriceRequest(_message.Message):
    __slots__ = ("tenant_id", "price_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    price_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., price_id: _Optional[str] = ...) -> None: ...

class GetPriceResponse(_message.Message):
    __slots__ = ("price",)
    PRICE_FIELD_NUMBER: _ClassVar[int]
    price: _catalog_pb2.Price
    def __init__(self, price: _Optional[_Union[_catalog_pb2.Price, _Mapping]] = ...) -> None: ...

class ListPricesRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    code: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class ListPricesResponse(_message.Message):
    __slots__ = ("prices", "next_page_token")
    PRICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prices: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.Price]
    next_page_token: str
    def __init__(self, prices: _Optional[_Iterable[_Union[_catalog_pb2.Price, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CreatePlanRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "code", "name", "items", "offered")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    code: str
    name: str
    items: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.PlanItem]
    offered: bool
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., items: _Optional[_Iterable[_Union[_catalog_pb2.PlanItem, _Mapping]]] = ..., offered: _Optional[bool] = ...) -> None: ...

class CreatePlanResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: _catalog_pb2.Plan
    def __init__(self, plan: _Optional[_Union[_catalog_pb2.Plan, _Mapping]] = ...) -> None: ...

class GetPlanRequest(_message.Message):
    __slots__ = ("tenant_id", "plan_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    plan_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., plan_id: _Optional[str] = ...) -> None: ...

class GetPlanResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: _catalog_pb2.Plan
    def __init__(self, plan: _Optional[_Union[_catalog_pb2.Plan, _Mapping]] = ...) -> None: ...

class ListPlansRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "code")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    code: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class ListPlansResponse(_message.Message):
    __slots__ = ("plans", "next_page_token")
    PLANS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    plans: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.Plan]
    next_page_token: str
    def __init__(self, plans: _Optional[_Iterable[_Union[_catalog_pb2.Plan, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class SetPlanOfferedRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "plan_id", "offered")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    plan_id: str
    offered: bool
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., plan_id: _Optional[str] = ..., offered: _Optional[bool] = ...) -> None: ...

class SetPlanOfferedResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: _catalog_pb2.Plan
    def __init__(self, plan: _Optional[_Union[_catalog_pb2.Plan, _Mapping]] = ...) -> None: ...

class DeprecatePlanRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "plan_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    plan_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., plan_id: _Optional[str] = ...) -> None: ...

class DeprecatePlanResponse(_message.Message):
    __slots__ = ("plan",)
    PLAN_FIELD_NUMBER: _ClassVar[int]
    plan: _catalog_pb2.Plan
    def __init__(self, plan: _Optional[_Union[_catalog_pb2.Plan, _Mapping]] = ...) -> None: ...
