"""Settings of the program: environment variables, checked once at the start.

A field is named like its variable in lower case. Its unit is in its name; its bounds are checked.
"""

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from annotated_types import Ge, Gt, Le
from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from corebilling.rpc.issuers import MIN_SECRET_BYTES

ROLES = ("api", "dispatcher", "router", "webhook", "scheduler")
"""What a process can do; all of it by default."""

_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class BusProvider(StrEnum):
    LOCAL = "local"
    NATS = "nats"
    KAFKA = "kafka"
    NOOP = "noop"


class KafkaSecurity(StrEnum):
    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SaslMechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(BaseSettings):
    """Everything that may differ between two installations."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    # Database. Empty: the embedded server, in `data_dir`.
    database_url: SecretStr = Field(
        SecretStr(""), validation_alias=AliasChoices("DATABASE_URL", "BILLING_DATABASE_DSN")
    )
    data_dir: Path = Field(Path("corebilling-data"), validation_alias="COREBILLING_DATA_DIR")
    database_app_connections: int = Field(16, ge=1, le=500)
    database_worker_connections: int = Field(8, ge=2, le=500)
    database_acquire_timeout_seconds: Seconds = 5
    database_statement_timeout_seconds: Seconds = 30
    database_lock_timeout_seconds: Seconds = 10

    # Key that protects the tenants' data keys and API keys: base64 of 32 bytes, or a file that holds it.
    master_key: SecretStr = Field(SecretStr(""), validation_alias="COREBILLING_MASTER_KEY")
    master_key_file: Path | None = Field(None, validation_alias="COREBILLING_MASTER_KEY_FILE")

    # Tokens of people. The secret makes the installation an issuer of its own (HS256); the file lists others.
    jwt_secret: SecretStr = SecretStr("")
    jwt_issuer: str = Field("corebilling", min_length=1, max_length=500)
    jwt_audience: str = Field("corebilling", min_length=1, max_length=500)
    jwt_issuers_file: Path | None = None

    # Servers. Port 0 takes any free one.
    host: str = Field("127.0.0.1", min_length=1)
    port: Port = 8080
    # Where customers reach that port from outside, as in https://billing.example.com; '' is as above.
    public_url: str = Field("", pattern=r"^(https?://[^/\s]+(/[^/\s]+)*)?$")
    grpc_port: Port = 50051
    grpc_tls_cert_file: Path | None = None
    grpc_tls_key_file: Path | None = None
    # Clients then need a certificate that one of these authorities signed.
    grpc_tls_client_ca_file: Path | None = None
    grpc_reflection: bool = True
    grpc_max_concurrent_calls: int = Field(256, ge=1, le=10_000)
    # Calls that stream, as when events are watched or usage is sent: mostly idle, counted by themselves.
    grpc_max_streams: int = Field(1000, ge=1, le=100_000)
    # Of one connection, streams of events among them. What is more waits in its client, and costs nothing.
    grpc_max_concurrent_streams: int = Field(32, ge=1, le=10_000)
    # Applied to calls whose client set none or a longer one.
    grpc_deadline_seconds: Seconds = 30
    grpc_stream_deadline_seconds: Seconds = 600
    # How often a tenant may call a method: on average, and at once after a rest. 0 per second is no limit.
    rate_limit_rps: float = Field(100, ge=0, le=100_000)
    rate_limit_burst: int = Field(200, ge=1, le=100_000)
    # How many wrong API keys an address may try, on average and at once. 0 per second is no limit.
    api_key_failures_rps: float = Field(100, ge=0, le=100_000)
    api_key_failures_burst: int = Field(200, ge=1, le=100_000)
    # Where servers count calls together, as in redis://host:6379/0. Empty: each for itself.
    redis_url: SecretStr = SecretStr("")
    # How long calls in progress may take to end when the server stops.
    grpc_stop_grace_seconds: Seconds = 10
    # The API over HTTP. It asks no client for a certificate: without a word here, it is off where gRPC does.
    http_api: bool | None = None
    # How long the body of a request may take to arrive, and a stream of requests may be silent.
    http_body_timeout_seconds: Seconds = 15
    # Bodies that are read at once, and how much of them is held until they are there.
    http_max_bodies: int = Field(1000, ge=1, le=100_000)
    http_max_held_bytes: int = Field(256 * 1024 * 1024, ge=16 * 1024 * 1024)
    # Whose pages may call from a browser: origins as https://app.example.com, separated by commas; * for any.
    http_cors_origins: str = Field("", pattern=r"^(\*|https?://[^/\s,]+(,https?://[^/\s,]+)*)?$")
    # How long a verified key, and a tenant that exists, is believed in without another look.
    credential_cache_seconds: float = Field(3, ge=0, le=60)
    # And what a customer may do, at most: events tell of changes long before.
    entitlement_cache_seconds: float = Field(10, ge=0, le=300)

    # Events.
    event_bus_provider: BusProvider = BusProvider.LOCAL
    dispatcher_quota_events: int = Field(500, ge=1, le=10_000)
    dispatcher_poll_seconds: float = Field(0.05, ge=0.001, le=60)
    dispatcher_lease_seconds: float = Field(5, ge=1, le=300)
    dispatcher_concurrent_shards: int = Field(4, ge=1, le=64)
    router_refill_events: int = Field(500, ge=1, le=10_000)
    router_sweep_seconds: Seconds = 5
    router_retry_seconds: Seconds = 0.5
    router_max_attempts: int = Field(10, ge=1, le=100)
    # For how long it is known when which events were handled.
    router_batch_retention_days: int = Field(7, ge=1, le=366)
    # Streams of events: how many a tenant may have open in one process, how long one is silent at most, and
    # how often is looked for what other processes wrote.
    event_watches_per_tenant: int = Field(20, ge=1, le=10_000)
    event_watch_heartbeat_seconds: float = Field(10, ge=0.01, le=300)
    event_watch_poll_seconds: float = Field(0.25, ge=0.01, le=60)
    router_lease_seconds: float = Field(5, ge=1, le=300)
    # Shards that one router works on at once: each takes a connection of the workers' pool.
    router_concurrent_shards: int = Field(4, ge=1, le=64)

    # The bus. The stream and the topic are made if they are missing.
    nats_url: str = "nats://127.0.0.1:4222"
    nats_stream: str = Field("COREBILLING", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    nats_username: str = ""
    nats_password: SecretStr = SecretStr("")
    nats_tls_ca_file: Path | None = None
    nats_replicas: int = Field(1, ge=1, le=5)
    kafka_brokers: str = "127.0.0.1:9092"
    kafka_topic: str = Field("corebilling.events", pattern=r"^[A-Za-z0-9._-]{1,200}$")
    kafka_group_id: str = Field("corebilling", min_length=1, max_length=200)
    kafka_security: KafkaSecurity = KafkaSecurity.PLAINTEXT
    kafka_sasl_mechanism: SaslMechanism = SaslMechanism.SCRAM_SHA_512
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_ssl_ca_file: Path | None = None
    kafka_replicas: int = Field(1, ge=1, le=5)

    # Webhooks. Delays double from the base to the maximum.
    webhook_worker_interval_seconds: Seconds = 1
    webhook_worker_limit: int = Field(100, ge=1, le=10_000)
    webhook_max_retries: int = Field(5, ge=0, le=100)
    webhook_base_delay_seconds: Seconds = 10
    webhook_max_delay_seconds: Seconds = 300
    webhook_http_timeout_seconds: float = Field(15, ge=0.1, le=120)
    # Attempts per second to an endpoint that sets no rate of its own.
    webhook_rate_per_second: int = Field(100, ge=1, le=1000)
    # An endpoint is disabled after so long of nothing but failures.
    webhook_disable_after_days: float = Field(5, gt=0, le=366)
    # Receivers on loopback and private networks, and plain http: for development alone.
    webhook_allow_private: bool = False

    # Billing.
    usage_max_age_days: int = Field(35, ge=1, le=366)
    usage_max_ahead_seconds: int = Field(300, ge=0, le=86_400)
    # How long after a period's end its late usage still enters its own invoice.
    billing_grace_seconds: int = Field(3600, ge=0, le=2_592_000)
    scheduler_interval_seconds: Seconds = 1
    invoice_number_prefix: str = Field("INV", pattern=r"^[A-Z0-9]{1,12}$")
    # Fonts for what the built-in ones lack, beside those of the system.
    invoice_font_folder: Path | None = None
    invoice_due_days: int = Field(30, ge=0, le=365)
    # Of tenants without tax rates of their own: 0.1 is a tenth.
    invoice_tax_rate: Decimal = Field(Decimal(0), ge=0, le=1)

    # The audit log: how often it is sealed, and the public keys that it was signed with under former master
    # keys, in hexadecimal, separated by commas.
    audit_seal_seconds: Seconds = 30
    audit_former_keys: str = Field("", pattern=r"^([0-9a-f]{64}(,[0-9a-f]{64})*)?$")

    # Telemetry. Without an endpoint no traces are made.
    otlp_endpoint: str = ""
    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = LogLevel.INFO

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.grpc_tls_cert_file is None) != (self.grpc_tls_key_file is None):
            raise ValueError("GRPC_TLS_CERT_FILE and GRPC_TLS_KEY_FILE belong together: set both, or neither")
        if self.grpc_tls_client_ca_file is not None and self.grpc_tls_cert_file is None:
            raise ValueError("GRPC_TLS_CLIENT_CA_FILE needs GRPC_TLS_CERT_FILE and GRPC_TLS_KEY_FILE")
        secret = self.jwt_secret.get_secret_value()
        if secret and len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"JWT_SECRET must have at least {MIN_SECRET_BYTES} bytes")
        redis_url = self.redis_url.get_secret_value()
        if redis_url and not redis_url.startswith(_REDIS_SCHEMES):
            raise ValueError(f"REDIS_URL must begin with one of {', '.join(_REDIS_SCHEMES)}")
        if self.webhook_max_delay_seconds < self.webhook_base_delay_seconds:
            raise ValueError("WEBHOOK_MAX_DELAY_SECONDS must not be below WEBHOOK_BASE_DELAY_SECONDS")
        return self


class SettingsInvalid(Exception):
    """Some setting cannot be used; the message has a line for each, and no secret."""


def read_settings() -> Settings:
    """From the environment. Raises SettingsInvalid."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsInvalid("\n".join(_problem(details) for details in error.errors())) from None


def _problem(details: ErrorDetails) -> str:
    if not details["loc"]:  # of several settings together: the sentence is our own
        return str(details["ctx"]["error"])
    field_name = str(details["loc"][0])
    field = Settings.model_fields.get(field_name)
    wanted = _wanted(field) if field else ""
    if not wanted:  # text of some kind, perhaps a secret
        return f"{field_name.upper()} cannot be used: {details['msg']}"
    return f"{field_name.upper()} must be {wanted} (it is {details['input']!r})"


def _wanted(field: FieldInfo) -> str:
    """What a setting of this type may be; '' for text without a pattern."""
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"one of {', '.join(kind)}"
    if kind is bool:
        return "true or false"
    bounds = " and ".join(filter(None, map(_bound, field.metadata)))
    if kind in (int, float):
        return f"a {'whole number' if kind is int else 'number'}, {bounds}"
    return f"text that matches {bounds}" if bounds else ""


def _bound(limit: object) -> str:
    match limit:
        case Ge(ge=low):
            return f"at least {low}"
        case Gt(gt=low):
            return f"above {low}"
        case Le(le=high):
            return f"at most {high}"
        case _:
            return str(getattr(limit, "pattern", None) or "")
