from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChargeStepKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHARGE_STEP_KIND_UNSPECIFIED: _ClassVar[ChargeStepKind]
    CHARGE_STEP_KIND_CAP: _ClassVar[ChargeStepKind]
    CHARGE_STEP_KIND_MINIMUM: _ClassVar[ChargeStepKind]
    CHARGE_STEP_KIND_BILLED: _ClassVar[ChargeStepKind]
CHARGE_STEP_KIND_UNSPECIFIED: ChargeStepKind
CHARGE_STEP_KIND_CAP: ChargeStepKind
CHARGE_STEP_KIND_MINIMUM: ChargeStepKind
CHARGE_STEP_KIND_BILLED: ChargeStepKind

class TierCharge(_message.Message):
    __slots__ = ("from_quantity", "up_to", "quantity", "unit_amount", "flat_amount", "amount", "units", "block_size")
    FROM_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UP_TO_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FLAT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_SIZE_FIELD_NUMBER: _ClassVar[int]
    from_quantity: str
    up_to: str
    quantity: str
    unit_amount: str
    flat_amount: str
    amount: str
    units: str
    block_size: str
    def __init__(self, from_quantity: _Optional[str] = ..., up_to: _Optional[str] = ..., quantity: _Optional[str] = ..., unit_amount: _Optional[str] = ..., flat_amount: _Optional[str] = ..., amount: _Optional[str] = ..., units: _Optional[str] = ..., block_size: _Optional[str] = ...) -> None: ...

class ChargeStep(_message.Message):
    __slots__ = ("kind", "amount")
    KIND_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    kind: ChargeStepKind
    amount: str
    def __init__(self, kind: _Optional[_Union[ChargeStepKind, str]] = ..., amount: _Optional[str] = ...) -> None: ...

class RecordEvidence(_message.Message):
    __slots__ = ("cells", "transactions")
    CELLS_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    cells: _containers.RepeatedCompositeFieldContainer[CellCharge]
    transactions: TransactionCharge
    def __init__(self, cells: _Optional[_Iterable[_Union[CellCharge, _Mapping]]] = ..., transactions: _Optional[_Union[TransactionCharge, _Mapping]] = ...) -> None: ...

class CellCharge(_message.Message):
    __slots__ = ("properties", "quantity", "unit_amount", "amount", "record_count")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    UNIT_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    properties: _containers.ScalarMap[str, str]
    quantity: str
    unit_amount: str
    amount: str
    record_count: int
    def __init__(self, properties: _Optional[_Mapping[str, str]] = ..., quantity: _Optional[str] = ..., unit_amount: _Optional[str] = ..., amount: _Optional[str] = ..., record_count: _Optional[int] = ...) -> None: ...

class TransactionCharge(_message.Message):
    __slots__ = ("percent", "fixed_amount", "free_transactions", "free_amount", "paid_transactions", "paid_amount", "rate_amount", "fixed_total", "floor_amount", "ceiling_amount", "amount")
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    FIXED_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FREE_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    FREE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    PAID_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    PAID_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    RATE_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    FIXED_TOTAL_FIELD_NUMBER: _ClassVar[int]
    FLOOR_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CEILING_AMOUNT_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    percent: str
    fixed_amount: str
    free_transactions: int
    free_amount: str
    paid_transactions: int
    paid_amount: str
    rate_amount: str
    fixed_total: str
    floor_amount: str
    ceiling_amount: str
    amount: str
    def __init__(self, percent: _Optional[str] = ..., fixed_amount: _Optional[str] = ..., free_transactions: _Optional[int] = ..., free_amount: _Optional[str] = ..., paid_transactions: _Optional[int] = ..., paid_amount: _Optional[str] = ..., rate_amount: _Optional[str] = ..., fixed_total: _Optional[str] = ..., floor_amount: _Optional[str] = ..., ceiling_amount: _Optional[str] = ..., amount: _Optional[str] = ...) -> None: ...
