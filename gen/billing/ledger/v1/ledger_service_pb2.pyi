import datetime

from billing.ledger.v1 import ledger_pb2 as _ledger_pb2
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

class ListAccountsRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class ListAccountsResponse(_message.Message):
    __slots__ = ("accounts",)
    ACCOUNTS_FIELD_NUMBER: _ClassVar[int]
    accounts: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.Account]
    def __init__(self, accounts: _Optional[_Iterable[_Union[_ledger_pb2.Account, _Mapping]]] = ...) -> None: ...

class GetJournalRequest(_message.Message):
    __slots__ = ("tenant_id", "journal_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    journal_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., journal_id: _Optional[str] = ...) -> None: ...

class GetJournalResponse(_message.Message):
    __slots__ = ("journal",)
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    journal: _ledger_pb2.Journal
    def __init__(self, journal: _Optional[_Union[_ledger_pb2.Journal, _Mapping]] = ...) -> None: ...

class ListJournalsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "customer_id", "source_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    customer_id: str
    source_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., customer_id: _Optional[str] = ..., source_id: _Optional[str] = ...) -> None: ...

class ListJournalsResponse(_message.Message):
    __slots__ = ("journals", "next_page_token")
    JOURNALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    journals: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.Journal]
    next_page_token: str
    def __init__(self, journals: _Optional[_Iterable[_Union[_ledger_pb2.Journal, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetTrialBalanceRequest(_message.Message):
    __slots__ = ("tenant_id", "as_of")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    as_of: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetTrialBalanceResponse(_message.Message):
    __slots__ = ("balances", "balanced")
    BALANCES_FIELD_NUMBER: _ClassVar[int]
    BALANCED_FIELD_NUMBER: _ClassVar[int]
    balances: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.Balance]
    balanced: bool
    def __init__(self, balances: _Optional[_Iterable[_Union[_ledger_pb2.Balance, _Mapping]]] = ..., balanced: _Optional[bool] = ...) -> None: ...

class GetAccountBalanceRequest(_message.Message):
    __slots__ = ("tenant_id", "account_id", "as_of")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    account_id: str
    as_of: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., account_id: _Optional[str] = ..., as_of: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetAccountBalanceResponse(_message.Message):
    __slots__ = ("balance",)
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    balance: _ledger_pb2.Balance
    def __init__(self, balance: _Optional[_Union[_ledger_pb2.Balance, _Mapping]] = ...) -> None: ...

class GetStatementRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "customer_id", "currency", "start", "end")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    customer_id: str
    currency: str
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., customer_id: _Optional[str] = ..., currency: _Optional[str] = ..., start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetStatementResponse(_message.Message):
    __slots__ = ("currency", "opening", "closing", "lines", "next_page_token")
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    OPENING_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    currency: str
    opening: _ledger_pb2.CustomerBalance
    closing: _ledger_pb2.CustomerBalance
    lines: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.StatementLine]
    next_page_token: str
    def __init__(self, currency: _Optional[str] = ..., opening: _Optional[_Union[_ledger_pb2.CustomerBalance, _Mapping]] = ..., closing: _Optional[_Union[_ledger_pb2.CustomerBalance, _Mapping]] = ..., lines: _Optional[_Iterable[_Union[_ledger_pb2.StatementLine, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetAccountStatementRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "account_id", "start", "end")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    account_id: str
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., account_id: _Optional[str] = ..., start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetAccountStatementResponse(_message.Message):
    __slots__ = ("account", "opening_minor", "closing_minor", "lines", "next_page_token")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    OPENING_MINOR_FIELD_NUMBER: _ClassVar[int]
    CLOSING_MINOR_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    account: _ledger_pb2.Account
    opening_minor: int
    closing_minor: int
    lines: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.AccountStatementLine]
    next_page_token: str
    def __init__(self, account: _Optional[_Union[_ledger_pb2.Account, _Mapping]] = ..., opening_minor: _Optional[int] = ..., closing_minor: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[_ledger_pb2.AccountStatementLine, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ListDeferralsRequest(_message.Message):
    __slots__ = ("tenant_id", "page_size", "page_token", "invoice_id", "customer_id")
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INVOICE_ID_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    page_size: int
    page_token: str
    invoice_id: str
    customer_id: str
    def __init__(self, tenant_id: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., invoice_id: _Optional[str] = ..., customer_id: _Optional[str] = ...) -> None: ...

class ListDeferralsResponse(_message.Message):
    __slots__ = ("deferrals", "next_page_token")
    DEFERRALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    deferrals: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.Deferral]
    next_page_token: str
    def __init__(self, deferrals: _Optional[_Iterable[_Union[_ledger_pb2.Deferral, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class VerifyBooksRequest(_message.Message):
    __slots__ = ("tenant_id",)
    TENANT_ID_FIELD_NUMBER: _ClassVar[int]
    tenant_id: str
    def __init__(self, tenant_id: _Optional[str] = ...) -> None: ...

class VerifyBooksResponse(_message.Message):
    __slots__ = ("checks", "sound")
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    SOUND_FIELD_NUMBER: _ClassVar[int]
    checks: _containers.RepeatedCompositeFieldContainer[_ledger_pb2.BookCheck]
    sound: bool
    def __init__(self, checks: _Optional[_Iterable[_Union[_ledger_pb2.BookCheck, _Mapping]]] = ..., sound: _Optional[bool] = ...) -> None: ...
