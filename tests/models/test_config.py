from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from corebilling.cli import main
from corebilling.config import BusProvider, Settings, SettingsInvalid, read_settings
from corebilling.policies import http_api


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
    assert (settings.rate_limit_rps, settings.rate_limit_burst) == (100, 200)
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
        ("RATE_LIMIT_BURST", "0"),
        ("REDIS_URL", "localhost:6379"),
        ("GRPC_TLS_CERT_FILE", "cert.pem"),
        ("GRPC_TLS_CLIENT_CA_FILE", "ca.pem"),
    ],
)
def test_wrong_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize(
    ("certified", "said", "on"),
    [("", "", True), ("ca.pem", "", False), ("ca.pem", "true", True), ("", "false", False)],
)
def test_http_is_no_way_around_certificates(
    monkeypatch: pytest.MonkeyPatch, certified: str, said: str, on: bool
) -> None:
    if certified:
        for name in ("CERT", "KEY", "CLIENT_CA"):
            monkeypatch.setenv(f"GRPC_TLS_{name}_FILE", certified)
    if said:
        monkeypatch.setenv("HTTP_API", said)
    assert http_api(read_settings()) is on


def test_certificate_and_key_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRPC_TLS_CERT_FILE", "cert.pem")
    monkeypatch.setenv("GRPC_TLS_KEY_FILE", "key.pem")
    assert Settings().grpc_tls_key_file == Path("key.pem")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PORT", "abc", "PORT must be a whole number, at least 0 and at most 65535 (it is 'abc')"),
        ("PORT", "65536", "PORT must be a whole number, at least 0 and at most 65535 (it is '65536')"),
        (
            "GRPC_DEADLINE_SECONDS",
            "soon",
            "GRPC_DEADLINE_SECONDS must be a number, above 0 and at most 86400 (it is 'soon')",
        ),
        ("GRPC_REFLECTION", "maybe", "GRPC_REFLECTION must be true or false (it is 'maybe')"),
        (
            "EVENT_BUS_PROVIDER",
            "pigeon",
            "EVENT_BUS_PROVIDER must be one of local, nats, kafka, noop (it is 'pigeon')",
        ),
        (
            "INVOICE_NUMBER_PREFIX",
            "inv/2",
            "INVOICE_NUMBER_PREFIX must be text that matches ^[A-Z0-9]{1,12}$ (it is 'inv/2')",
        ),
        ("HOST", "", "HOST cannot be used: String should have at least 1 character"),
        (
            "GRPC_TLS_CERT_FILE",
            "cert.pem",
            "GRPC_TLS_CERT_FILE and GRPC_TLS_KEY_FILE belong together: set both, or neither",
        ),
        ("JWT_SECRET", "hunter2", "JWT_SECRET must have at least 32 bytes"),
    ],
)
def test_wrong_setting_is_explained_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid) as refusal:
        read_settings()
    assert str(refusal.value) == line


def test_secrets_are_not_shown_when_settings_do_not_fit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "COREBILLING_MASTER_KEY", "NATS_PASSWORD"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("GRPC_TLS_CERT_FILE", "cert.pem")
    with pytest.raises(ValidationError, match="hunter2"):
        Settings()
    with pytest.raises(SettingsInvalid) as refusal:
        read_settings()
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("command", [["up"], ["serve"], ["migrate", "status"]])
def test_command_names_every_wrong_setting_and_ends(
    monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("PORT", "[abc]")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    ended = CliRunner().invoke(main, command)
    assert ended.exit_code == 1
    assert ended.stderr.splitlines() == [
        "PORT must be a whole number, at least 0 and at most 65535 (it is '[abc]')",
        "LOG_LEVEL must be one of debug, info, warning, error (it is 'loud')",
    ]
