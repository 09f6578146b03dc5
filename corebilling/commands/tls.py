"""How commands speak TLS: the same options for each that calls a server."""

import functools
import inspect
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from corebilling.sdk.connection import Tls

F = TypeVar("F", bound=Callable[..., Any])

_tls: ContextVar[Tls | None] = ContextVar("tls", default=None)
"""Of the command that runs."""


def chosen_tls() -> Tls | None:
    """What the command that runs was told; None: it speaks in the clear."""
    return _tls.get()


class ClientApp(typer.Typer):
    """Commands that name a `target` take the options of TLS beside their own."""

    def command(self, *args: Any, **options: Any) -> Callable[[F], F]:
        register = super().command(*args, **options)

        def add(function: F) -> F:
            register(_with_tls(function) if "target" in inspect.signature(function).parameters else function)
            return function

        return add


def _with_tls(function: Callable[..., Any]) -> Callable[..., Any]:
    own, of_tls = inspect.signature(function), inspect.signature(_read)

    @functools.wraps(function)
    def encrypted(**given: Any) -> Any:
        _tls.set(_read(**{name: given.pop(name) for name in of_tls.parameters}))
        return function(**given)

    parameters = [*own.parameters.values(), *of_tls.parameters.values()]
    encrypted.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    encrypted.__annotations__ = {one.name: one.annotation for one in parameters}
    return encrypted


def _file(variable: str, help_: str) -> Any:
    return typer.Option(envvar=variable, help=help_, exists=True, dir_okay=False, readable=True)


def _read(
    *,
    tls: Annotated[
        bool,
        typer.Option("--tls", envvar="COREBILLING_TLS", help="Speak TLS, to a publicly certified server."),
    ] = False,
    tls_ca_file: Annotated[
        Path | None, _file("COREBILLING_TLS_CA_FILE", "PEM of who certified the server; speaks TLS.")
    ] = None,
    tls_cert_file: Annotated[
        Path | None, _file("COREBILLING_TLS_CERT_FILE", "PEM of your own certificate, for servers that ask.")
    ] = None,
    tls_key_file: Annotated[
        Path | None, _file("COREBILLING_TLS_KEY_FILE", "PEM of the key of your certificate.")
    ] = None,
) -> Tls | None:
    if (tls_cert_file is None) != (tls_key_file is None):
        raise typer.BadParameter("--tls-cert-file and --tls-key-file belong together: give both, or neither.")
    _check(tls_ca_file, tls_cert_file, tls_key_file)
    files = Tls.from_files(tls_ca_file, tls_cert_file, tls_key_file)
    return files if tls or files != Tls() else None


def _check(authorities: Path | None, certificate: Path | None, key: Path | None) -> None:
    """gRPC itself would say no more than that nobody answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if authorities is not None:
            context.load_verify_locations(authorities)
    except ssl.SSLError:
        raise typer.BadParameter(f"--tls-ca-file: {authorities} must hold certificates in PEM.") from None
    try:
        if certificate is not None:
            context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError):
        raise typer.BadParameter(
            f"--tls-cert-file and --tls-key-file: {certificate} and {key} are no certificate and key in PEM, "
            "without a password."
        ) from None
