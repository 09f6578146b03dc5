from pathlib import Path

import pytest
from pydantic import ValidationError

from corebilling.config import BusProvider, Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "BILLING_DATABASE_DSN", "PORT", "HOST", "OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_those_of_the_contract() -> None:
    settings = Settings()
    assert (settings.port, settings.grpc_port) == (8080, 50051)
    assert settings.event_bus_provider is BusProvider.LOCAL
    assert (settings.webhook_max_retries, settings.webhook_base_delay_seconds) == (5, 10)
    assert (settings.usage_max_age_days, settings.usage_max_ahead_seconds) == (35, 300)
    assert (settings.invoice_number_prefix, settings.invoice_due_days) == ("INV", 30)
    assert settings.otlp_endpoint == ""


@pytest.mark.parametrize("name", ["DATABASE_URL", "BILLING_DATABASE_DSN"])
def test_database_is_found_under_either_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "postgresql://somewhere")
    assert Settings().database_url.get_secret_value() == "postgresql://somewhere"


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@db")
    monkeypatch.setenv("COREBILLING_MASTER_KEY", "hunter2")
    assert "hunter2" not in repr(Settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("WEBHOOK_MAX_RETRIES", "-1"),
        ("EVENT_BUS_PROVIDER", "carrier-pigeon"),
        ("INVOICE_NUMBER_PREFIX", "inv/2"),
        ("WEBHOOK_MAX_DELAY_SECONDS", "5"),
        ("GRPC_TLS_CERT_FILE", "cert.pem"),
        ("GRPC_TLS_CLIENT_CA_FILE", "ca.pem"),
    ],
)
def test_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_certificate_and_key_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_TLS_CERT_FILE", "cert.pem")
    monkeypatch.setenv("GRPC_TLS_KEY_FILE", "key.pem")
    assert Settings().grpc_tls_key_file == Path("key.pem")
