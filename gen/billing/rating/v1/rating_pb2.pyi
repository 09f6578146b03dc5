import datetime

from billing.tenant.v1 import tenant_pb2 as _tenant_pb2
from billing.types.v1 import money_pb2 as _money_pb2
from billing.types.v1 import period_pb2 as _period_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChargeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHARGE_KIND_UNSPECIFIED: _ClassVar[ChargeKind]
    CHARGE_KIND_RECURRING: _ClassVar[ChargeKind]
    CHARGE_KIND_USAGE: _ClassVar[ChargeKind]
    CHARGE_KIND_ADJUSTMENT: _ClassVar[ChargeKind]
    CHARGE_KIND_ONE_TIME: _ClassVar[ChargeKind]
CHARGE_KIND_UNSPECIFIED: ChargeKind
CHARGE_KIND_RECURRING: ChargeKind
CHARGE_KIND_USAGE: ChargeKind
CHARGE_KIND_ADJUSTMENT: ChargeKind
CHARGE_KIND_ONE_TIME: ChargeKind

class Charge(_message.Message):
    __slots__ = ("id", "tenant_id", "cycle_id", "subscription_item_id", "kind", "price_id", "description", "period", "quantity", "unit_amount", "unit_size", "currency", "amount", "tiers", "created_at", "steps", "by_record", "basis", "amount_before", "price_override_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_SIZE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    TIERS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    BY_RECORD_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PRICE_OVERRIDE_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    cycle_id: str
    subscription_item_id: str
    kind: ChargeKind
    price_id: str
    description: str
    period: _period_pb2.Period
    quantity: str
    unit_amount: str
    unit_size: str
    currency: str
    amount: str
    tiers: _containers.RepeatedCompositeFieldContainer[_money_pb2.TierCharge]
    created_at: _timestamp_pb2.Timestamp
    steps: _containers.RepeatedCompositeFieldContainer[_money_pb2.ChargeStep]
    by_record: _money_pb2.RecordEvidence
    basis: ChargeBasis
    amount_before: str
    price_override_id: str
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., cycle_id: _Optional[str] = ..., subscription_item_id: _Optional[str] = ..., kind: _Optional[_Union[ChargeKind, str]] = ..., price_id: _Optional[str] = ..., description: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., quantity: _Optional[str] = ..., unit_amount: _Optional[str] = ..., unit_size: _Optional[str] = ..., currency: _Optional[str] = ..., amount: _Optional[str] = ..., tiers: _Optional[_Iterable[_Union[_money_pb2.TierCharge, _Mapping]]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., steps: _Optional[_Iterable[_Union[_money_pb2.ChargeStep, _Mapping]]] = ..., by_record: _Optional[_Union[_money_pb2.RecordEvidence, _Mapping]] = ..., basis: _Optional[_Union[ChargeBasis, _Mapping]] = ..., amount_before: _Optional[str] = ..., price_override_id: _Optional[str] = ...) -> None: ...

class ChargeBasis(_message.Message):
    __slots__ = ("full_period", "span", "share", "span_before", "share_before", "proration_grain", "timezone", "quantity_before", "record_count", "first_recorded_at", "last_recorded_at", "priced_quantity", "priced_share", "priced_quantity_before", "priced_share_before")
    FULL_PERIOD_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    SPAN_BEFORE_FIELD_NUMBER: _ClassVar[int]
    SHARE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PRORATION_GRAIN_FIELD_NUMBER: _ClassVar[int]
    TIMEZONE_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_RECORDED_AT_FIELD_NUMBER: _ClassVar[int]
    PRICED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    PRICED_SHARE_FIELD_NUMBER: _ClassVar[int]
    PRICED_QUANTITY_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PRICED_SHARE_BEFORE_FIELD_NUMBER: _ClassVar[int]
    full_period: _period_pb2.Period
    span: _period_pb2.Period
    share: str
    span_before: _period_pb2.Period
    share_before: str
    proration_grain: _tenant_pb2.ProrationGrain
    timezone: str
    quantity_before: str
    record_count: int
    first_recorded_at: _timestamp_pb2.Timestamp
    last_recorded_at: _timestamp_pb2.Timestamp
    priced_quantity: str
    priced_share: str
    priced_quantity_before: str
    priced_share_before: str
    def __init__(self, full_period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., span: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., share: _Optional[str] = ..., span_before: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., share_before: _Optional[str] = ..., proration_grain: _Optional[_Union[_tenant_pb2.ProrationGrain, str]] = ..., timezone: _Optional[str] = ..., quantity_before: _Optional[str] = ..., record_count: _Optional[int] = ..., first_recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_recorded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., priced_quantity: _Optional[str] = ..., priced_share: _Optional[str] = ..., priced_quantity_before: _Optional[str] = ..., priced_share_before: _Optional[str] = ...) -> None: ...

class ReratedCharge(_message.Message):
    __slots__ = ("subscription_item_id", "kind", "period", "revision", "cycle_id", "price_id", "corrected_price_id", "quantity", "currency", "billed_minor", "amount_minor", "difference_minor", "invoice_id", "reason", "actor", "rerated_at")
    SUBSCRIPTION_ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CYCLE_ID_FIELD_NUMBER: _ClassVar[int]
    PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_PRICE_ID_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    BILLED_MINOR_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_MINOR_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    RERATED_AT_FIELD_NUMBER: _ClassVar[int]
    subscription_item_id: str
    kind: ChargeKind
    period: _period_pb2.Period
    revision: int
    cycle_id: str
    price_id: str
    corrected_price_id: str
    quantity: str
    currency: str
    billed_minor: int
    amount_minor: int
    difference_minor: int
    invoice_id: str
    reason: str
    actor: str
    rerated_at: _timestamp_pb2.Timestamp
    def __init__(self, subscription_item_id: _Optional[str] = ..., kind: _Optional[_Union[ChargeKind, str]] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., revision: _Optional[int] = ..., cycle_id: _Optional[str] = ..., price_id: _Optional[str] = ..., corrected_price_id: _Optional[str] = ..., quantity: _Optional[str] = ..., currency: _Optional[str] = ..., billed_minor: _Optional[int] = ..., amount_minor: _Optional[int] = ..., difference_minor: _Optional[int] = ..., invoice_id: _Optional[str] = ..., reason: _Optional[str] = ..., actor: _Optional[str] = ..., rerated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
