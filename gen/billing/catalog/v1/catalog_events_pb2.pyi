from billing.catalog.v1 import catalog_pb2 as _catalog_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ProductCreated(_message.Message):
    __slots__ = ("product_id", "code")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    code: str
    def __init__(self, product_id: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class MeterCreated(_message.Message):
    __slots__ = ("meter_id", "code", "aggregation")
    METER_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    AGGREGATION_FIELD_NUMBER: _ClassVar[int]
    meter_id: str
    code: str
    aggregation: _catalog_pb2.Aggregation
    def __init__(self, meter_id: _Optional[str] = ..., code: _Optional[str] = ..., aggregation: _Optional[_Union[_catalog_pb2.Aggregation, str]] = ...) -> None: ...

class PriceCreated(_message.Message):
    __slots__ = ("price_id", "code", "price_version", "model", "currency", "other_currencies")
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    PRICE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    OTHER_CURRENCIES_FIELD_NUMBER: _ClassVar[int]
    price_id: str
    code: str
    price_version: int
    model: _catalog_pb2.PriceModel
    currency: str
    other_currencies: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, price_id: _Optional[str] = ..., code: _Optional[str] = ..., price_version: _Optional[int] = ..., model: _Optional[_Union[_catalog_pb2.PriceModel, str]] = ..., currency: _Optional[str] = ..., other_currencies: _Optional[_Iterable[str]] = ...) -> None: ...

class PlanCreated(_message.Message):
    __slots__ = ("plan_id", "code")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    code: str
    def __init__(self, plan_id: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class PlanUpdated(_message.Message):
    __slots__ = ("plan_id", "changed_fields")
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELDS_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    changed_fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, plan_id: _Optional[str] = ..., changed_fields: _Optional[_Iterable[str]] = ...) -> None: ...

class PlanDeprecated(_message.Message):
    __slots__ = ("plan_id",)
    PLAN_ID_FIELD_NUMBER: _ClassVar[int]
    plan_id: str
    def __init__(self, plan_id: _Optional[str] = ...) -> None: ...
