"""What the client knows of an RPC; the generator writes one of these for each."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar


class Message(Protocol):
    """A message of either generator."""

    def SerializeToString(self) -> bytes: ...  # noqa: N802 (protobuf's name)


Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")


class Idempotency(Enum):
    """What calling twice does: nothing more, in each of these ways. So every call may be repeated."""

    READ = "changes nothing"
    REQUEST_ID = "the request's id returns the first response"
    BY_KEY = "the records have keys"


@dataclass(frozen=True, slots=True, eq=False)
class Method(Generic[Request, Response]):
    path: str
    """As in /billing.customer.v1.CustomerService/GetCustomer."""
    request_class: type[Request]
    response_class: type[Response]
    idempotency: Idempotency
    tenant_scoped: bool = False
    resumes: bool = False
    """Its stream gives tokens to go on from."""

    @property
    def parse(self) -> Callable[[bytes], Response]:
        parse: Callable[[bytes], Response] = self.response_class.FromString  # type: ignore[attr-defined]
        return parse
