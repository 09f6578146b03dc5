"""`corebilling call`: any RPC from the shell, by reflection, with no files at hand."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

import grpc
import typer
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from corebilling.commands.connection import TARGET, ApiKey, Target, console, failure, refusal
from corebilling.commands.json_input import read_json
from corebilling.commands.tls import chosen_tls


def call(
    method: Annotated[
        str, typer.Argument(help="SERVICE/METHOD, with the full service name; empty: list all.")
    ] = "",
    data: Annotated[
        str, typer.Option("--data", "-d", help="The request as JSON; @ reads standard input.")
    ] = "{}",
    target: Target = TARGET,
    api_key: ApiKey = "",
    correlation_id: Annotated[str, typer.Option(help="Ties everything this call leads to together.")] = "",
    get: Annotated[str, typer.Option(help="Print one field only, as in customer.id or plans.0.id.")] = "",
) -> None:
    """Calls any RPC by reflection, as grpcurl does. Without a method, lists them all.

    A platform key names the tenant in the request: -d '{"tenant_id": "ten_…"}'. COREBILLING_TARGET and
    COREBILLING_API_KEY are read from the environment; COREBILLING_TENANT is not.
    """
    with _channel(target) as channel:
        try:
            database = ProtoReflectionDescriptorDatabase(channel)
            pool = DescriptorPool(database)
            if not method:
                console.print("\n".join(_methods(database, pool)), highlight=False)
                return
            headers = [("x-api-key", api_key)] if api_key else []
            headers += [("x-correlation-id", correlation_id)] if correlation_id else []
            for response in _invoke(channel, _find(pool, method), _read(data), headers):
                print(_show(response, pool, get))
        except grpc.RpcError as error:
            raise refusal(error, target) from None


def _channel(target: str) -> grpc.Channel:
    tls = chosen_tls()
    return grpc.secure_channel(target, tls.credentials()) if tls else grpc.insecure_channel(target)


def _methods(database: ProtoReflectionDescriptorDatabase, pool: DescriptorPool) -> list[str]:
    services = (pool.FindServiceByName(name) for name in sorted(database.get_services()))
    return [f"{service.full_name}/{method.name}" for service in services for method in service.methods]


def _find(pool: DescriptorPool, name: str) -> MethodDescriptor:
    service, _, method = name.partition("/")
    try:
        return pool.FindServiceByName(service).methods_by_name[method]
    except KeyError:
        raise typer.BadParameter(
            f"The server has no {name}; `corebilling call` without arguments lists all."
        ) from None


def _show(response: Message, pool: DescriptorPool, path: str) -> str:
    """The whole response as JSON, or what stands at the path."""
    try:
        found: Any = json_format.MessageToDict(
            response, preserving_proto_field_name=True, descriptor_pool=pool
        )
    except (json_format.Error, ValueError) as error:
        raise failure(f"The response cannot be shown in JSON: {error}.") from None
    try:
        for name in path.split(".") if path else ():
            found = found[int(name) if name.isdecimal() else name]
    except (KeyError, IndexError, TypeError):
        raise typer.BadParameter(f"The response has no {path}.") from None
    return found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False)


def _read(data: str) -> list[dict[str, Any]]:
    """One request, or for client streams an array of them."""
    parsed = read_json(data)
    requests = parsed if isinstance(parsed, list) else [parsed]
    if not all(isinstance(request, dict) for request in requests):
        raise failure("The request is not a JSON object.")
    return requests


def _misfit(method: MethodDescriptor, error: str) -> str:
    """What is wrong with a request. Of an unknown field: which there are, as responses name them."""
    unknown = re.search(r'Message type "([\w.]+)" has no field named "([^"]+)"', error)
    if not unknown:
        return f"The request does not fit {method.input_type.full_name}: {error}."
    message = method.input_type.file.pool.FindMessageTypeByName(unknown[1])
    names = ", ".join(field.name for field in message.fields) or "none"
    return f"{message.full_name} has no field {unknown[2]}; its fields: {names}."


def _invoke(
    channel: grpc.Channel,
    method: MethodDescriptor,
    data: list[dict[str, Any]],
    headers: list[tuple[str, str]],
) -> Iterator[Message]:
    request_class, response_class = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    try:
        requests = [json_format.ParseDict(item, request_class()) for item in data]
    except (json_format.ParseError, OverflowError) as error:
        raise failure(_misfit(method, str(error))) from None
    if len(requests) != 1 and not method.client_streaming:
        raise failure(f"{method.name} takes one request, not {len(requests)}.")
    kind = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    invoke = getattr(channel, kind)(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=request_class.SerializeToString,
        response_deserializer=response_class.FromString,
    )
    answer = invoke(iter(requests) if method.client_streaming else requests[0], metadata=headers)
    yield from answer if method.server_streaming else [answer]
