import datetime

from billing.types.v1 import period_pb2 as _period_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AccountType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACCOUNT_TYPE_UNSPECIFIED: _ClassVar[AccountType]
    ACCOUNT_TYPE_CASH: _ClassVar[AccountType]
    ACCOUNT_TYPE_RECEIVABLE: _ClassVar[AccountType]
    ACCOUNT_TYPE_REVENUE: _ClassVar[AccountType]
    ACCOUNT_TYPE_TAX_PAYABLE: _ClassVar[AccountType]
    ACCOUNT_TYPE_CUSTOMER_CREDIT: _ClassVar[AccountType]
    ACCOUNT_TYPE_EXPENSE: _ClassVar[AccountType]
    ACCOUNT_TYPE_BAD_DEBT: _ClassVar[AccountType]
    ACCOUNT_TYPE_DEFERRED_REVENUE: _ClassVar[AccountType]
    ACCOUNT_TYPE_BREAKAGE: _ClassVar[AccountType]

class EntryDirection(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_DIRECTION_UNSPECIFIED: _ClassVar[EntryDirection]
    ENTRY_DIRECTION_DEBIT: _ClassVar[EntryDirection]
    ENTRY_DIRECTION_CREDIT: _ClassVar[EntryDirection]
ACCOUNT_TYPE_UNSPECIFIED: AccountType
ACCOUNT_TYPE_CASH: AccountType
ACCOUNT_TYPE_RECEIVABLE: AccountType
ACCOUNT_TYPE_REVENUE: AccountType
ACCOUNT_TYPE_TAX_PAYABLE: AccountType
ACCOUNT_TYPE_CUSTOMER_CREDIT: AccountType
ACCOUNT_TYPE_EXPENSE: AccountType
ACCOUNT_TYPE_BAD_DEBT: AccountType
ACCOUNT_TYPE_DEFERRED_REVENUE: AccountType
ACCOUNT_TYPE_BREAKAGE: AccountType
ENTRY_DIRECTION_UNSPECIFIED: EntryDirection
ENTRY_DIRECTION_DEBIT: EntryDirection
ENTRY_DIRECTION_CREDIT: EntryDirection

class Account(_message.Message):
    __slots__ = ("id", "tenant_id", "type", "currency")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    type: AccountType
    currency: str
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., type: _Optional[_Union[AccountType, str]] = ..., currency: _Optional[str] = ...) -> None: ...

class Journal(_message.Message):
    __slots__ = ("id", "tenant_id", "source_type", "source_id", "customer_id", "reverses_journal_id", "posted_at", "entries")
    ID_FIELD_NUMBER: _ClassVar[int]
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    REVERSES_JOURNAL_ID_FIELD_NUMBER: _ClassVar[int]
    POSTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    id: str
    tenant_id: str
    source_type: str
    source_id: str
    customer_id: str
    reverses_journal_id: str
    posted_at: _timestamp_pb2.Timestamp
    entries: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, id: _Optional[str] = ..., tenant_id: _Optional[str] = ..., source_type: _Optional[str] = ..., source_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., reverses_journal_id: _Optional[str] = ..., posted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ("account_id", "account_type", "direction", "currency", "amount_minor")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_TYPE_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    account_type: AccountType
    direction: EntryDirection
    currency: str
    amount_minor: int
    def __init__(self, account_id: _Optional[str] = ..., account_type: _Optional[_Union[AccountType, str]] = ..., direction: _Optional[_Union[EntryDirection, str]] = ..., currency: _Optional[str] = ..., amount_minor: _Optional[int] = ...) -> None: ...

class Balance(_message.Message):
    __slots__ = ("account_id", "account_type", "currency", "debit_minor", "credit_minor", "balance_minor")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_TYPE_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    DEBIT_MINOR_FIELD_NUMBER: _ClassVar[int]
    CREDIT_MINOR_FIELD_NUMBER: _ClassVar[int]
    BALANCE_MINOR_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    account_type: AccountType
    currency: str
    debit_minor: int
    credit_minor: int
    balance_minor: int
    def __init__(self, account_id: _Optional[str] = ..., account_type: _Optional[_Union[AccountType, str]] = ..., currency: _Optional[str] = ..., debit_minor: _Optional[int] = ..., credit_minor: _Optional[int] = ..., balance_minor: _Optional[int] = ...) -> None: ...

class CustomerBalance(_message.Message):
    __slots__ = ("owed_minor", "credit_minor")
    OWED_MINOR_FIELD_NUMBER: _ClassVar[int]
    CREDIT_MINOR_FIELD_NUMBER: _ClassVar[int]
    owed_minor: int
    credit_minor: int
    def __init__(self, owed_minor: _Optional[int] = ..., credit_minor: _Optional[int] = ...) -> None: ...

class StatementLine(_message.Message):
    __slots__ = ("journal_id", "source_type", "source_id", "posted_at", "number", "change", "balance")
    JOURNAL_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    POSTED_AT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    journal_id: str
    source_type: str
    source_id: str
    posted_at: _timestamp_pb2.Timestamp
    number: str
    change: CustomerBalance
    balance: CustomerBalance
    def __init__(self, journal_id: _Optional[str] = ..., source_type: _Optional[str] = ..., source_id: _Optional[str] = ..., posted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., number: _Optional[str] = ..., change: _Optional[_Union[CustomerBalance, _Mapping]] = ..., balance: _Optional[_Union[CustomerBalance, _Mapping]] = ...) -> None: ...

class AccountStatementLine(_message.Message):
    __slots__ = ("journal_id", "source_type", "source_id", "customer_id", "posted_at", "direction", "amount_minor", "balance_minor")
    JOURNAL_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    POSTED_AT_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    BALANCE_MINOR_FIELD_NUMBER: _ClassVar[int]
    journal_id: str
    source_type: str
    source_id: str
    customer_id: str
    posted_at: _timestamp_pb2.Timestamp
    direction: EntryDirection
    amount_minor: int
    balance_minor: int
    def __init__(self, journal_id: _Optional[str] = ..., source_type: _Optional[str] = ..., source_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., posted_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., direction: _Optional[_Union[EntryDirection, str]] = ..., amount_minor: _Optional[int] = ..., balance_minor: _Optional[int] = ...) -> None: ...

class Deferral(_message.Message):
    __slots__ = ("invoice_line_id", "invoice_id", "customer_id", "currency", "period", "deferred_minor", "recognized_minor", "reversed_minor", "remaining_minor", "recognitions")
    INVOICE_LINE_ID_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    DEFERRED_MINOR_FIELD_NUMBER: _ClassVar[int]
    RECOGNIZED_MINOR_FIELD_NUMBER: _ClassVar[int]
    REVERSED_MINOR_FIELD_NUMBER: _ClassVar[int]
    REMAINING_MINOR_FIELD_NUMBER: _ClassVar[int]
    RECOGNITIONS_FIELD_NUMBER: _ClassVar[int]
    invoice_line_id: str
    invoice_id: str
    customer_id: str
    currency: str
    period: _period_pb2.Period
    deferred_minor: int
    recognized_minor: int
    reversed_minor: int
    remaining_minor: int
    recognitions: _containers.RepeatedCompositeFieldContainer[Recognition]
    def __init__(self, invoice_line_id: _Optional[str] = ..., invoice_id: _Optional[str] = ..., customer_id: _Optional[str] = ..., currency: _Optional[str] = ..., period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., deferred_minor: _Optional[int] = ..., recognized_minor: _Optional[int] = ..., reversed_minor: _Optional[int] = ..., remaining_minor: _Optional[int] = ..., recognitions: _Optional[_Iterable[_Union[Recognition, _Mapping]]] = ...) -> None: ...

class Recognition(_message.Message):
    __slots__ = ("period", "amount_minor", "posted")
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_MINOR_FIELD_NUMBER: _ClassVar[int]
    POSTED_FIELD_NUMBER: _ClassVar[int]
    period: _period_pb2.Period
    amount_minor: int
    posted: bool
    def __init__(self, period: _Optional[_Union[_period_pb2.Period, _Mapping]] = ..., amount_minor: _Optional[int] = ..., posted: _Optional[bool] = ...) -> None: ...

class BookCheck(_message.Message):
    __slots__ = ("name", "currency", "expected_minor", "found_minor", "differing_customers", "differing_customer_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_MINOR_FIELD_NUMBER: _ClassVar[int]
    FOUND_MINOR_FIELD_NUMBER: _ClassVar[int]
    DIFFERING_CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    DIFFERING_CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    currency: str
    expected_minor: str
    found_minor: str
    differing_customers: int
    differing_customer_id: str
    def __init__(self, name: _Optional[str] = ..., currency: _Optional[str] = ..., expected_minor: _Optional[str] = ..., found_minor: _Optional[str] = ..., differing_customers: _Optional[int] = ..., differing_customer_id: _Optional[str] = ...) -> None: ...
