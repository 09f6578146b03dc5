from billing.options.v1 import options_pb2 as _options_pb2
from billing.rating.v1 import rating_pb2 as _rating_pb2
from billing.types.v1 import money_pb2 as _money_pb2
from buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListChargesRequest(_message.Message):
    __slots__ = ("tenant_id", "cycle_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    cycle_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., cycle_id: _Optional[str] = ...) -> None: ...

class ListChargesResponse(_message.Message):
    __slots__ = ("charges",)
    CHARGES_FIELD_NUMBER: _ClassVar[int]
    charges: _containers.RepeatedCompositeFieldContainer[_rating_pb2.Charge]
    def __init__(self, charges: _Optional[_Iterable[_Union[_rating_pb2.Charge, _Mapping]]] = ...) -> None: ...

class PreviewPriceRequest(_message.Message):
    __slots__ = ("tenant_id", "price_id", "quantity", "currency", "properties")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    price_id: str
    quantity: str
    currency: str
    properties: _containers.ScalarMap[str, str]
    def __init__(self, tenant_id: _Optional[str] = ..., price_id: _Optional[str] = ..., quantity: _Optional[str] = ..., currency: _Optional[str] = ..., properties: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PreviewPriceResponse(_message.Message):
    __slots__ = ("amount", "currency", "tiers", "steps", "by_record")
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    BY_RECORD_FIELD_NUMBER: _ClassVar[int]
    amount: str
    currency: str
    tiers: _containers.RepeatedCompositeFieldContainer[_money_pb2.TierCharge]
    steps: _containers.RepeatedCompositeFieldContainer[_money_pb2.ChargeStep]
    by_record: _money_pb2.RecordEvidence
    def __init__(self, amount: _Optional[str] = ..., currency: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[_money_pb2.TierCharge, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[_money_pb2.ChargeStep, _Mapping]]] = ..., by_record: _Optional[_Union[_money_pb2.RecordEvidence, _Mapping]] = ...) -> None: ...
