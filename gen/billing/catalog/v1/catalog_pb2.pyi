import datetime

from billing.types.v1 import period_pb2 as _period_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Aggregation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AGGREGATION_UNSPECIFIED: _ClassVar[Aggregation]
    AGGREGATION_SUM: _ClassVar[Aggregation]
    AGGREGATION_COUNT: _ClassVar[Aggregation]
    AGGREGATION_MAX: _ClassVar[Aggregation]
    AGGREGATION_MIN: _ClassVar[Aggregation]
    AGGREGATION_UNIQUE: _ClassVar[Aggregation]
    AGGREGATION_LATEST: _ClassVar[Aggregation]
    AGGREGATION_AVERAGE: _ClassVar[Aggregation]
    AGGREGATION_TIME_WEIGHTED: _ClassVar[Aggregation]

class QuantityRounding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    QUANTITY_ROUNDING_UNSPECIFIED: _ClassVar[QuantityRounding]
    QUANTITY_ROUNDING_UP: _ClassVar[QuantityRounding]
    QUANTITY_ROUNDING_DOWN: _ClassVar[QuantityRounding]
    QUANTITY_ROUNDING_HALF_UP: _ClassVar[QuantityRounding]

class PriceModel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRICE_MODEL_UNSPECIFIED: _ClassVar[PriceModel]
    PRICE_MODEL_FLAT: _ClassVar[PriceModel]
    PRICE_MODEL_PER_UNIT: _ClassVar[PriceModel]
    PRICE_MODEL_GRADUATED: _ClassVar[PriceModel]
    PRICE_MODEL_VOLUME: _ClassVar[PriceModel]
    PRICE_MODEL_PACKAGE: _ClassVar[PriceModel]
    PRICE_MODEL_MATRIX: _ClassVar[PriceModel]
    PRICE_MODEL_PERCENTAGE: _ClassVar[PriceModel]

class PriceUsage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRICE_USAGE_UNSPECIFIED: _ClassVar[PriceUsage]
    PRICE_USAGE_LICENSED: _ClassVar[PriceUsage]
    PRICE_USAGE_METERED: _ClassVar[PriceUsage]

class PlanStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PLAN_STATUS_UNSPECIFIED: _ClassVar[PlanStatus]
    PLAN_STATUS_ACTIVE: _ClassVar[PlanStatus]
    PLAN_STATUS_DEPRECATED: _ClassVar[PlanStatus]
AGGREGATION_UNSPECIFIED: Aggregation
AGGREGATION_SUM: Aggregation
AGGREGATION_COUNT: Aggregation
AGGREGATION_MAX: Aggregation
AGGREGATION_MIN: Aggregation
AGGREGATION_UNIQUE: Aggregation
AGGREGATION_LATEST: Aggregation
AGGREGATION_AVERAGE: Aggregation
AGGREGATION_TIME_WEIGHTED: Aggregation
QUANTITY_ROUNDING_UNSPECIFIED: QuantityRounding
QUANTITY_ROUNDING_UP: QuantityRounding
QUANTITY_ROUNDING_DOWN: QuantityRounding
QUANTITY_ROUNDING_HALF_UP: QuantityRounding
PRICE_MODEL_UNSPECIFIED: PriceModel
PRICE_MODEL_FLAT: PriceModel
PRICE_MODEL_PER_UNIT: PriceModel
PRICE_MODEL_GRADUATED: PriceModel
PRICE_MODEL_VOLUME: PriceModel
PRICE_MODEL_PACKAGE: PriceModel
PRICE_MODEL_MATRIX: PriceModel
PRICE_MODEL_PERCENTAGE: PriceModel
PRICE_USAGE_UNSPECIFIED: PriceUsage
PRICE_USAGE_LICENSED: PriceUsage
PRICE_USAGE_METERED: PriceUsage
PLAN_STATUS_UNSPECIFIED: PlanStatus
PLAN_STATUS_ACTIVE: PlanStatus
PLAN_STATUS_DEPRECATED: PlanStatus

class Product(_message.Message):
    __slots__ = ("id", "tenant_id", "code", "name", "created_at", "version", "tax_category")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TAX_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    code: str
    name: str
    created_at: _timestamp_pb2.Timestamp
    version: int
    tax_category: str
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., tax_category: _Optional[str] = ...) -> None: ...

class MeterFilter(_message.Message):
    __slots__ = ("property", "values")
    PROPERTY_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    property: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, property: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class MeterTransform(_message.Message):
    __slots__ = ("divide_by", "rounding", "block_size")
    DIVIDE_BY_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_FIELD_NUMBER: _ClassVar[int]
    BLOCK_SIZE_FIELD_NUMBER: _ClassVar[int]
    divide_by: str
    rounding: QuantityRounding
    block_size: str
    def __init__(self, divide_by: _Optional[str] = ..., rounding: _Optional[_Union[QuantityRounding, str]] = ..., block_size: _Optional[str] = ...) -> None: ...

class Meter(_message.Message):
    __slots__ = ("id", "tenant_id", "code", "name", "aggregation", "unit", "created_at", "version", "filters", "transform", "unique_property")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_PROPERTY_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    code: str
    name: str
    aggregation: Aggregation
    unit: str
    created_at: _timestamp_pb2.Timestamp
    version: int
    filters: _containers.RepeatedCompositeFieldContainer[MeterFilter]
    transform: MeterTransform
    unique_property: str
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., aggregation: _Optional[_Union[Aggregation, str]] = ..., unit: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., filters: _Optional[_Iterable[_Union[MeterFilter, _Mapping]]] = ..., transform: _Optional[_Union[MeterTransform, _Mapping]] = ..., unique_property: _Optional[str] = ...) -> None: ...

class PriceCell(_message.Message):
    __slots__ = ("values", "unit_amount")
    VALUES_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    unit_amount: str
    def __init__(self, values: _Optional[_Iterable[str]] = ..., unit_amount: _Optional[str] = ...) -> None: ...

class PricePercentage(_message.Message):
    __slots__ = ("percent", "fixed_amount", "free_transactions", "free_amount", "minimum_amount", "maximum_amount")
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    FIXED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FREE_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    FREE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    percent: str
    fixed_amount: str
    free_transactions: int
    free_amount: str
    minimum_amount: str
    maximum_amount: str
    def __init__(self, percent: _Optional[str] = ..., fixed_amount: _Optional[str] = ..., free_transactions: _Optional[int] = ..., free_amount: _Optional[str] = ..., minimum_amount: _Optional[str] = ..., maximum_amount: _Optional[str] = ...) -> None: ...

class Price(_message.Message):
    __slots__ = ("id", "tenant_id", "product_id", "code", "price_version", "currency", "model", "usage", "meter_id", "interval_unit", "interval_count", "unit_amount", "unit_size", "tiers", "description", "created_at", "included_quantity", "minimum_amount", "maximum_amount", "no_flat_amount_when_unused", "dimensions", "cells", "default_unit_amount", "percentage", "one_time", "currency_options")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
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
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
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
    id: str
    tenant_id: str
    product_id: str
    code: str
    price_version: int
    currency: str
    model: PriceModel
    usage: PriceUsage
    meter_id: str
    interval_unit: _period_pb2.IntervalUnit
    interval_count: int
    unit_amount: str
    unit_size: str
    tiers: _containers.RepeatedCompositeFieldContainer[PriceTier]
    description: str
    created_at: _timestamp_pb2.Timestamp
    included_quantity: str
    minimum_amount: str
    maximum_amount: str
    no_flat_amount_when_unused: bool
    dimensions: _containers.RepeatedScalarFieldContainer[str]
    cells: _containers.RepeatedCompositeFieldContainer[PriceCell]
    default_unit_amount: str
    percentage: PricePercentage
    one_time: bool
    currency_options: _containers.RepeatedCompositeFieldContainer[CurrencyOption]
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., product_id: _Optional[str] = ..., code: _Optional[str] = ..., price_version: _Optional[int] = ..., currency: _Optional[str] = ..., model: _Optional[_Union[PriceModel, str]] = ..., usage: _Optional[_Union[PriceUsage, str]] = ..., meter_id: _Optional[str] = ..., interval_unit: _Optional[_Union[_period_pb2.IntervalUnit, str]] = ..., interval_count: _Optional[int] = ..., unit_amount: _Optional[str] = ..., unit_size: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[PriceTier, _Mapping]]] = ..., description: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., included_quantity: _Optional[str] = ..., minimum_amount: _Optional[str] = ..., maximum_amount: _Optional[str] = ..., no_flat_amount_when_unused: _Optional[bool] = ..., dimensions: _Optional[_Iterable[str]] = ..., cells: _Optional[_Iterable[_Union[PriceCell, _Mapping]]] = ..., default_unit_amount: _Optional[str] = ..., percentage: _Optional[_Union[PricePercentage, _Mapping]] = ..., one_time: _Optional[bool] = ..., currency_options: _Optional[_Iterable[_Union[CurrencyOption, _Mapping]]] = ...) -> None: ...

class CurrencyOption(_message.Message):
    __slots__ = ("currency", "unit_amount", "tiers", "minimum_amount", "maximum_amount")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    currency: str
    unit_amount: str
    tiers: _containers.RepeatedCompositeFieldContainer[PriceTier]
    minimum_amount: str
    maximum_amount: str
    def __init__(self, currency: _Optional[str] = ..., unit_amount: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[PriceTier, _Mapping]]] = ..., minimum_amount: _Optional[str] = ..., maximum_amount: _Optional[str] = ...) -> None: ...

class PriceTier(_message.Message):
    __slots__ = ("up_to", "unit_amount", "flat_amount", "block_size", "maximum_amount")
    UP_TO_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FLAT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    up_to: str
    unit_amount: str
    flat_amount: str
    block_size: str
    maximum_amount: str
    def __init__(self, up_to: _Optional[str] = ..., unit_amount: _Optional[str] = ..., flat_amount: _Optional[str] = ..., block_size: _Optional[str] = ..., maximum_amount: _Optional[str] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("id", "tenant_id", "code", "name", "status", "items", "created_at", "version", "offered")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OFFERED_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    code: str
    name: str
    status: PlanStatus
    items: _containers.RepeatedCompositeFieldContainer[PlanItem]
    created_at: _timestamp_pb2.Timestamp
    version: int
    offered: bool
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., code: _Optional[str] = ..., name: _Optional[str] = ..., status: _Optional[_Union[PlanStatus, str]] = ..., items: _Optional[_Iterable[_Union[PlanItem, _Mapping]]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., offered: _Optional[bool] = ...) -> None: ...

class PlanItem(_message.Message):
    __slots__ = ("price_id", "quantity")
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    price_id: str
    quantity: str
    def __init__(self, price_id: _Optional[str] = ..., quantity: _Optional[str] = ...) -> None: ...
