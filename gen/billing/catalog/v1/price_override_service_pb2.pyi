import datetime

from billing.catalog.v1 import catalog_pb2 as _catalog_pb2
from billing.catalog.v1 import price_override_pb2 as _price_override_pb2
from billing.options.v1 import options_pb2 as _options_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SetPriceOverrideRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "price_id", "customer_id", "subscription_id", "unit_amount", "tiers", "included_quantity", "minimum_amount", "maximum_amount", "valid_from", "valid_until")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    INCLUDED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_UNTIL_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    price_id: str
    customer_id: str
    subscription_id: str
    unit_amount: str
    tiers: _containers.RepeatedCompositeFieldContainer[_catalog_pb2.PriceTier]
    included_quantity: str
    minimum_amount: str
    maximum_amount: str
    valid_from: _timestamp_pb2.Timestamp
    valid_until: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., price_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., unit_amount: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[_catalog_pb2.PriceTier, _Mapping]]] = ..., included_quantity: _Optional[str] = ..., minimum_amount: _Optional[str] = ..., maximum_amount: _Optional[str] = ..., valid_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., valid_until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SetPriceOverrideResponse(_message.Message):
    __slots__ = ("price_override",)
    PRICE_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    price_override: _price_override_pb2.PriceOverride
    def __init__(self, price_override: _Optional[_Union[_price_override_pb2.PriceOverride, _Mapping]] = ...) -> None: ...

class GetPriceOverrideRequest(_message.Message):
    __slots__ = ("tenant_id", "price_override_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_OVERRIDE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    price_override_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., price_override_id: _Optional[str] = ...) -> None: ...

class GetPriceOverrideResponse(_message.Message):
    __slots__ = ("price_override",)
    PRICE_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    price_override: _price_override_pb2.PriceOverride
    def __init__(self, price_override: _Optional[_Union[_price_override_pb2.PriceOverride, _Mapping]] = ...) -> None: ...

class ListPriceOverridesRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "customer_id", "subscription_id", "price_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    customer_id: str
    subscription_id: str
    price_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., customer_id: _Optional[str] = ..., subscription_id: _Optional[str] = ..., price_id: _Optional[str] = ...) -> None: ...

class ListPriceOverridesResponse(_message.Message):
    __slots__ = ("price_overrides", "next_page_token")
    PRICE_OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    price_overrides: _containers.RepeatedCompositeFieldContainer[_price_override_pb2.PriceOverride]
    next_page_token: str
    def __init__(self, price_overrides: _Optional[_Iterable[_Union[_price_override_pb2.PriceOverride, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class EndPriceOverrideRequest(_message.Message):
    __slots__ = ("tenant_id", "request_id", "price_override_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_OVERRIDE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    request_id: str
    price_override_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., request_id: _Optional[str] = ..., price_override_id: _Optional[str] = ...) -> None: ...

class EndPriceOverrideResponse(_message.Message):
    __slots__ = ("price_override",)
    PRICE_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    price_override: _price_override_pb2.PriceOverride
    def __init__(self, price_override: _Optional[_Union[_price_override_pb2.PriceOverride, _Mapping]] = ...) -> None: ...
