"""The certificates of a server and of those who may call it: PEM files, looked at before anything listens."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc


class CertificateInvalid(Exception):
    """A file of certificates or keys cannot be used; the message names it and its setting."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of this server; with `client_ca_file`, clients need a certificate too."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Raises CertificateInvalid: gRPC itself says no more than that it cannot listen."""
        certificate = _read("GRPC_TLS_CERT_FILE", self.cert_file)
        key = _read("GRPC_TLS_KEY_FILE", self.key_file)
        authorities = None
        if self.client_ca_file is not None:
            authorities = read_authorities("GRPC_TLS_CLIENT_CA_FILE", self.client_ca_file)
        self._check_pair()
        return grpc.ssl_server_credentials([(key, certificate)], authorities, authorities is not None)

    def _check_pair(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # A key with a password asks for it at the terminal, unless one is given.
            context.load_cert_chain(self.cert_file, self.key_file, password="")
        except (ssl.SSLError, ValueError) as error:
            wrong = "do not belong together"
            if getattr(error, "reason", None) != "KEY_VALUES_MISMATCH":
                wrong = "are no certificate and key in PEM, without a password"
            raise CertificateInvalid(
                f"GRPC_TLS_CERT_FILE ({self.cert_file}) and GRPC_TLS_KEY_FILE ({self.key_file}) {wrong}"
            ) from None


def read_authorities(setting: str, file: Path) -> bytes:
    """Raises CertificateInvalid."""
    authorities = _read(setting, file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        raise CertificateInvalid(f"{setting} ({file}) must hold certificates in PEM") from None
    return authorities


def _read(setting: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CertificateInvalid(f"{setting} ({file}) cannot be read: {error.strerror}") from None
