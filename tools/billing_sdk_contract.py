"""What billing_sdk's generator reads of the contracts: services, methods and the fields of their requests."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from betterproto2_compiler.compile.naming import (
    pythonize_class_name,
    pythonize_field_name,
    pythonize_method_name,
)
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

SCALARS = {
    **dict.fromkeys((FieldDescriptor.TYPE_STRING,), ("str", '""')),
    **dict.fromkeys((FieldDescriptor.TYPE_BYTES,), ("bytes", 'b""')),
    **dict.fromkeys((FieldDescriptor.TYPE_BOOL,), ("bool", "False")),
    **dict.fromkeys((FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT), ("float", "0.0")),
    **dict.fromkeys((FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64), ("int", "0")),
    **dict.fromkeys((FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64), ("int", "0")),
}
# As betterproto2 has them in its dataclasses.
WELL_KNOWN = {
    "google.protobuf.Timestamp": "datetime.datetime",
    "google.protobuf.Duration": "datetime.timedelta",
}
# Filled in by the client when the caller leaves them out.
AUTOMATIC = ("tenant_id", "request_id")


def class_of(type_: Any) -> str:
    """The dataclass or enum of a message or enum, by its full name."""
    package: str = type_.file.package
    name = type_.full_name.removeprefix(f"{package}.")
    return f"billing_sdk.{package}.{pythonize_class_name(name)}"


@dataclass(frozen=True)
class Field:
    """A field of a request or response, as Python sees it."""

    descriptor: FieldDescriptor
    rules: Any
    """Its buf.validate rules."""

    @property
    def name(self) -> str:
        return pythonize_field_name(self.descriptor.name)

    @property
    def entry(self) -> Descriptor | None:
        """Of a map: the message of its keys and values."""
        message = self.descriptor.message_type
        return message if message is not None and message.GetOptions().map_entry else None

    @property
    def scalar(self) -> str:
        """The type of one value."""
        field = self.descriptor
        if field.message_type is not None:
            return WELL_KNOWN.get(field.message_type.full_name) or class_of(field.message_type)
        return class_of(field.enum_type) if field.enum_type is not None else SCALARS[field.type][0]

    @property
    def optional(self) -> bool:
        field = self.descriptor
        return field.message_type is not None or field.containing_oneof is not None

    @property
    def required(self) -> bool:
        """The contract refuses a request that leaves it out."""
        rules = self.rules
        if self.name in AUTOMATIC or self.descriptor.containing_oneof is not None:
            return False
        fewest = rules.string.min_len or rules.repeated.min_items or rules.bytes.min_len
        no_empty_text = bool(rules.string.pattern) and not re.search(rules.string.pattern, "")
        return bool(rules.required or fewest or no_empty_text or 0 in rules.enum.not_in)

    @property
    def annotation(self) -> str:
        if self.entry is not None:
            key, value = (Field(field, None).scalar for field in self.entry.fields)
            return f"Mapping[{key}, {value}] | None"
        if self.descriptor.is_repeated:
            return f"Sequence[{self.scalar}]"
        return f"{self.scalar} | None" if self.optional and not self.required else self.scalar

    @property
    def default(self) -> str:
        if self.entry is not None or (self.optional and not self.descriptor.is_repeated):
            return "None"
        if self.descriptor.is_repeated:
            return "()"
        return f"{self.scalar}(0)" if self.descriptor.enum_type else SCALARS[self.descriptor.type][1]

    @property
    def value(self) -> str:
        """What the request is given of the parameter."""
        if self.entry is not None:
            return f"dict({self.name} or {{}})"
        return f"list({self.name})" if self.descriptor.is_repeated else self.name

    def modules(self) -> Iterator[str]:
        field = self.descriptor
        for type_ in (field.message_type, field.enum_type):
            if type_ is not None and self.entry is None and type_.full_name not in WELL_KNOWN:
                yield f"billing_sdk.{type_.file.package}"


class Method:
    """One RPC."""

    def __init__(self, contract: "Contract", descriptor: MethodDescriptor, comment: str) -> None:
        self._contract = contract
        self._descriptor = descriptor
        policy = contract.method_option(descriptor, "billing.options.v1.policy")
        self.comment = comment
        self.tenant_scoped: bool = policy.tenant_scoped
        names = policy.DESCRIPTOR.fields_by_name["idempotency"].enum_type.values_by_number
        self.idempotency = names[policy.idempotency].name.removeprefix("IDEMPOTENCY_")
        self.service: str = descriptor.containing_service.name
        self.path = f"/{descriptor.containing_service.full_name}/{descriptor.name}"
        self.python_name = pythonize_method_name(descriptor.name)
        self.client_streaming: bool = descriptor.client_streaming
        self.server_streaming: bool = descriptor.server_streaming
        self.request_class = class_of(descriptor.input_type)
        self.response_class = class_of(descriptor.output_type)

    def fields(self, *, whole: bool = False) -> Sequence[Field]:
        """The request's; without the page token when the whole list is iterated over."""
        fields = [self._contract.field(field) for field in self._descriptor.input_type.fields]
        return [field for field in fields if not (whole and field.name == "page_token")]

    @property
    def _response_fields(self) -> Sequence[Field]:
        return [self._contract.field(field) for field in self._descriptor.output_type.fields]

    @property
    def empty_response(self) -> bool:
        return not self._response_fields

    @property
    def sole_message(self) -> Field | None:
        """What the response holds, if that is one message and nothing else."""
        fields = self._response_fields
        if len(fields) != 1 or fields[0].descriptor.is_repeated or fields[0].descriptor.message_type is None:
            return None
        return fields[0]

    @property
    def paged(self) -> bool:
        return "next_page_token" in self._descriptor.output_type.fields_by_name

    @property
    def resumes(self) -> bool:
        return "resume_token" in self._descriptor.output_type.fields_by_name

    @property
    def items(self) -> Field | None:
        """What the pages of a list consist of, if that is all they have."""
        fields = [field for field in self._response_fields if field.name != "next_page_token"]
        lists = self.python_name.startswith("list_") and len(fields) == 1
        return fields[0] if lists and fields[0].descriptor.is_repeated else None

    def modules(self) -> Iterator[str]:
        for field in (*self.fields(), *self._response_fields):
            yield from field.modules()


@dataclass(frozen=True)
class Service:
    package: str
    domain: str
    name: str
    comment: str
    methods: Sequence[Method]

    @property
    def attribute(self) -> str:
        """As in billing.customer, billing.event_admin."""
        return pythonize_method_name(self.name.removesuffix("Service"))


class Contract:
    """The billing packages of a compiler's request."""

    def __init__(self, request: CodeGeneratorRequest) -> None:
        self._pool = DescriptorPool()
        for file in request.proto_file:
            self._pool.AddSerializedFile(file.SerializeToString())
        self._files = [file for file in request.proto_file if file.package.startswith("billing.")]

    @property
    def packages(self) -> Sequence[str]:
        return sorted({file.package for file in self._files if file.package != "billing.options.v1"})

    @staticmethod
    def domain(package: str) -> str:
        return package.split(".")[1]

    @cached_property
    def services(self) -> Sequence[Service]:
        return [
            self._service(file, number)
            for file in sorted(self._files, key=lambda file: file.name)
            for number in range(len(file.service))
        ]

    @staticmethod
    def modules(services: Sequence[Service]) -> Iterator[str]:
        for service in services:
            for method in service.methods:
                yield from method.modules()

    def _service(self, file: FileDescriptorProto, number: int) -> Service:
        comments = {
            tuple(place.path): _dedented(place.leading_comments) for place in file.source_code_info.location
        }
        name = f"{file.package}.{file.service[number].name}"
        descriptor: ServiceDescriptor = self._pool.FindServiceByName(name)
        # 6: a file's services; 2: a service's methods.
        methods = [
            Method(self, method, comments.get((6, number, 2, place), ""))
            for place, method in enumerate(descriptor.methods)
        ]
        comment = comments.get((6, number), "")
        return Service(file.package, self.domain(file.package), descriptor.name, comment, methods)

    def field(self, descriptor: FieldDescriptor) -> Field:
        options = self._options("google.protobuf.FieldOptions", descriptor)
        return Field(descriptor, options.Extensions[self._pool.FindExtensionByName("buf.validate.field")])

    def method_option(self, descriptor: MethodDescriptor, extension: str) -> Any:
        options = self._options("google.protobuf.MethodOptions", descriptor)
        return options.Extensions[self._pool.FindExtensionByName(extension)]

    def _options(self, kind: str, descriptor: Any) -> Any:
        """Parsed anew, by classes that know the extensions of this request's files."""
        message: Any = GetMessageClass(self._pool.FindMessageTypeByName(kind))
        return message.FromString(descriptor.GetOptions().SerializeToString())


def _dedented(comment: str) -> str:
    return "\n".join(line.removeprefix(" ") for line in comment.strip("\n").split("\n")).strip()
