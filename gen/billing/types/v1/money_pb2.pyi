from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChargeStepKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHARGE_STEP_KIND_UNSPECIFIED: _ClassVar[ChargeStepKind]
    CHARGE_STEP_KIND_CAP: _ClassVar[ChargeStepKind]
    CHARGE_STEP_KIND_MINIMUM: _ClassVar[ChargeStepKind]
CHARGE_STEP_KIND_UNSPECIFIED: ChargeStepKind
CHARGE_STEP_KIND_CAP: ChargeStepKind
CHARGE_STEP_KIND_MINIMUM: ChargeStepKind

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
