"""What a server that has started tells who started it: where it is, and how to call it."""

from pathlib import Path

from corebilling import policies
from corebilling.config import Settings

_METHOD = "billing.tenant.v1.TenantService/ListTenants"


def greeting(settings: Settings, grpc_address: str, http_address: str, folder: Path, key_file: Path) -> str:
    """Of `corebilling up`."""
    return (
        f"CoreBilling is up.\n"
        f"  gRPC  {grpc_address}{_encryption(settings)}\n"
        f"  HTTP  {http_address}{_paths(settings)}\n"
        f"  data  {folder}, operators' key in {key_file}\n\n"
        f"{_trying(settings)}\n"
        f'  grpcurl {_grpcurl_options(settings)} -H "x-api-key: $(cat {key_file})" {grpc_address} {_METHOD}\n'
        f"  COREBILLING_API_KEY=$(cat {key_file}) corebilling call --target {grpc_address} "
        f"{_call_options(settings)}{_METHOD}\n\n"
        f"Ctrl-C stops it."
    )


def serving(settings: Settings, roles: str, grpc_address: str, http_address: str) -> str:
    """Of `corebilling serve`."""
    grpc = f"{grpc_address}{_encryption(settings)}" if grpc_address else "-"
    api_off = bool(grpc_address) and not policies.http_api(settings)
    return f"serving {roles}: gRPC {grpc}, HTTP {http_address}{_paths(settings) if api_off else ''}"


def _encryption(settings: Settings) -> str:
    if settings.grpc_tls_client_ca_file:
        return " over TLS, for clients with a certificate"
    return " over TLS" if settings.grpc_tls_cert_file else ""


def _paths(settings: Settings) -> str:
    if policies.http_api(settings):
        return "/docs /v1/… /health /ready /metrics"
    why = "HTTP_API=false"
    if settings.http_api is None:
        why = "HTTP asks for no certificate; HTTP_API=true opens it all the same"
    return f"/health /ready /metrics; without the API ({why})"


def _trying(settings: Settings) -> str:
    if settings.grpc_tls_cert_file is None:
        return "Try:"
    files = f"ca.pem the authority that signed {settings.grpc_tls_cert_file}"
    if settings.grpc_tls_client_ca_file:
        files += f", client.pem and client.key what {settings.grpc_tls_client_ca_file} signed for you"
    return f"Try, with {files}:"


def _grpcurl_options(settings: Settings) -> str:
    if settings.grpc_tls_cert_file is None:
        return "-plaintext"
    return "-cacert ca.pem" + (
        " -cert client.pem -key client.key" if settings.grpc_tls_client_ca_file else ""
    )


def _call_options(settings: Settings) -> str:
    if settings.grpc_tls_cert_file is None:
        return ""
    own = "--tls-cert-file client.pem --tls-key-file client.key " if settings.grpc_tls_client_ca_file else ""
    return f"--tls-ca-file ca.pem {own}"
