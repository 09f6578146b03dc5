"""What a service's descriptor says about its methods: read once, when the server is built."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from billing.options.v1 import options_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

# The generated stubs type extensions as plain descriptors.
_POLICY: Any = options_pb2.policy
_SECRET: Any = options_pb2.secret
_PERSONAL: Any = options_pb2.personal

_OF_ANY_CALL = ("tenant_id", "request_id", "page_size", "page_token")


@dataclass(frozen=True, slots=True)
class AccountPolicy:
    """How those limited to one account may call a method."""

    own: tuple[str, ...]
    """Fields of the request that must name what is the account's."""
    allowed: frozenset[str]
    """All fields of the request that they may set."""


class PolicyMissing(Exception):
    """A method declares no policy, or one that contradicts its messages; the message names it."""


class Idempotency(Enum):
    """What calling twice does."""

    READ = options_pb2.IDEMPOTENCY_READ
    REQUEST_ID = options_pb2.IDEMPOTENCY_REQUEST_ID
    BY_KEY = options_pb2.IDEMPOTENCY_BY_KEY


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """One RPC and its declared policy."""

    service: str
    name: str
    permission: str
    tenant_scoped: bool
    idempotency: Idempotency
    client_streaming: bool
    server_streaming: bool
    request_class: type[Message]
    response_class: type[Message]
    secret_fields: tuple[str, ...]
    """Fields of the response that are shown once."""
    personal: bool
    """The response has personal data of a customer, whom the request or the response names."""
    account: AccountPolicy | None
    """None: it is for the tenant's staff and services alone."""

    @property
    def full_name(self) -> str:
        """As in billing.customer.v1.CustomerService/GetCustomer."""
        return f"{self.service}/{self.name}"


def find_method(full_name: str) -> Method | None:
    """One method of the contracts that are loaded."""
    service, _, name = full_name.partition("/")
    try:
        return _method(descriptor_pool.Default().FindServiceByName(service).methods_by_name[name])
    except KeyError:
        return None


def methods_of(service: ServiceDescriptor) -> Iterator[Method]:
    """Raises PolicyMissing."""
    return map(_method, service.methods)


def _method(descriptor: MethodDescriptor) -> Method:
    options = descriptor.GetOptions()
    if not options.HasExtension(_POLICY):
        raise PolicyMissing(f"{descriptor.full_name} declares no policy")
    policy: options_pb2.MethodPolicy = options.Extensions[_POLICY]
    _check(descriptor, policy)
    return Method(
        service=descriptor.containing_service.full_name,
        name=descriptor.name,
        permission=policy.permission,
        tenant_scoped=policy.tenant_scoped,
        idempotency=Idempotency(policy.idempotency),
        client_streaming=descriptor.client_streaming,
        server_streaming=descriptor.server_streaming,
        request_class=GetMessageClass(descriptor.input_type),
        response_class=GetMessageClass(descriptor.output_type),
        secret_fields=tuple(field.name for field in descriptor.output_type.fields if _is_secret(field)),
        personal=holds_personal(descriptor.output_type),
        account=_account_policy(policy),
    )


def _account_policy(policy: options_pb2.MethodPolicy) -> AccountPolicy | None:
    if not policy.HasField("account"):
        return None
    own = tuple(policy.account.own)
    return AccountPolicy(own, frozenset((*own, *policy.account.free, *_OF_ANY_CALL)))


def _check(method: MethodDescriptor, policy: options_pb2.MethodPolicy) -> None:
    """The policy must be complete and fit the messages."""
    fields = method.input_type.fields_by_name
    by_request_id = policy.idempotency == options_pb2.IDEMPOTENCY_REQUEST_ID
    settable = {*policy.account.own, *policy.account.free}
    problems = {
        "names no permission": not policy.permission,
        "declares no idempotency": policy.idempotency == options_pb2.IDEMPOTENCY_UNSPECIFIED,
        "is tenant-scoped, but its request has no tenant_id": policy.tenant_scoped
        and "tenant_id" not in fields,
        "must have a request_id in its request, or not be IDEMPOTENCY_REQUEST_ID": by_request_id
        != ("request_id" in fields),
        "has a secret in its response exactly if it is sensitive": policy.sensitive
        != any(map(_is_secret, method.output_type.fields)),
        "streams both ways, which this server does not do": method.client_streaming
        and method.server_streaming,
        "lets accounts set fields that its request lacks": not settable.issubset(fields),
        "lets accounts call what is not a tenant's, or streams requests": policy.HasField("account")
        and (method.client_streaming or not policy.tenant_scoped),
        "streams requests that a request id cannot identify": method.client_streaming and by_request_id,
    }
    for problem, found in problems.items():
        if found:
            raise PolicyMissing(f"{method.full_name} {problem}")


def holds_personal(message: Any, above: frozenset[str] = frozenset()) -> bool:
    """Whether a field of the message, however deep, is declared as personal."""
    if message.full_name in above:
        return False
    above |= {message.full_name}
    return any(
        field.GetOptions().Extensions[_PERSONAL]
        or (field.message_type is not None and holds_personal(field.message_type, above))
        for field in message.fields
    )


def _is_secret(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[_SECRET])
