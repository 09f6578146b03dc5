"""What the settings mean to each part."""

from corebilling.bus.kafka_cluster import KafkaAddress
from corebilling.bus.nats_connection import NatsAddress
from corebilling.config import Settings
from corebilling.domains.access.model import PERMISSIONS
from corebilling.domains.quota.view import ViewPolicy
from corebilling.domains.webhook.model import WebhookPolicy
from corebilling.events.dispatcher import DispatcherPolicy
from corebilling.events.envelope import SHARDS
from corebilling.events.router import RouterPolicy
from corebilling.events.tail import TailPolicy
from corebilling.http.body import BodyLimits
from corebilling.http.cors import Cors
from corebilling.rpc.answer import MAX_MESSAGE_BYTES
from corebilling.rpc.certificates import Tls, read_authorities
from corebilling.rpc.concerns import CallLimits
from corebilling.rpc.issuers import Issuer, read_issuers
from corebilling.rpc.key_attempts import KeyAttempts
from corebilling.rpc.rate_limit import Rate
from corebilling.rpc.server import RpcPolicy
from corebilling.values.clock import Clock


def nats_address(settings: Settings, installation: str) -> NatsAddress:
    """Raises CertificateInvalid."""
    if settings.nats_tls_ca_file is not None:
        read_authorities("NATS_TLS_CA_FILE", settings.nats_tls_ca_file)
    return NatsAddress(
        url=settings.nats_url,
        stream=settings.nats_stream,
        installation=installation,
        username=settings.nats_username,
        password=settings.nats_password.get_secret_value(),
        tls_ca_file=settings.nats_tls_ca_file,
        replicas=settings.nats_replicas,
    )


def kafka_address(settings: Settings, installation: str) -> KafkaAddress:
    """Raises CertificateInvalid."""
    if settings.kafka_ssl_ca_file is not None:
        read_authorities("KAFKA_SSL_CA_FILE", settings.kafka_ssl_ca_file)
    return KafkaAddress(
        brokers=settings.kafka_brokers,
        topic=settings.kafka_topic,
        group_id=settings.kafka_group_id,
        partitions=SHARDS,
        installation=installation,
        replicas=settings.kafka_replicas,
        security=settings.kafka_security,
        sasl_mechanism=settings.kafka_sasl_mechanism,
        sasl_username=settings.kafka_sasl_username,
        sasl_password=settings.kafka_sasl_password.get_secret_value(),
        ssl_ca_file=settings.kafka_ssl_ca_file,
    )


def issuers(settings: Settings) -> tuple[Issuer, ...]:
    """Raises IssuersInvalid."""
    own = []
    if settings.jwt_secret.get_secret_value():
        own.append(
            Issuer(
                issuer=settings.jwt_issuer,
                audience=(settings.jwt_audience,),
                algorithm="HS256",
                secret=settings.jwt_secret,
            )
        )
    return read_issuers(settings.jwt_issuers_file, own, PERMISSIONS)


def call_limits(settings: Settings) -> CallLimits:
    return CallLimits(
        max_calls=settings.grpc_max_concurrent_calls,
        max_streams=settings.grpc_max_streams,
        deadline_s=settings.grpc_deadline_seconds,
        stream_deadline_s=settings.grpc_stream_deadline_seconds,
    )


def rate(settings: Settings) -> Rate | None:
    if not settings.rate_limit_rps:
        return None
    return Rate(settings.rate_limit_rps, settings.rate_limit_burst)


def body_limits(settings: Settings) -> BodyLimits:
    return BodyLimits(
        # As much as a message of gRPC.
        max_bytes=MAX_MESSAGE_BYTES,
        timeout_s=settings.http_body_timeout_seconds,
        max_bodies=settings.http_max_bodies,
        max_held_bytes=settings.http_max_held_bytes,
    )


def key_attempts(settings: Settings, clock: Clock) -> KeyAttempts | None:
    if not settings.api_key_failures_rps:
        return None
    return KeyAttempts(Rate(settings.api_key_failures_rps, settings.api_key_failures_burst), clock)


def http_api(settings: Settings) -> bool:
    """Whether RPCs are answered over HTTP too."""
    return settings.grpc_tls_client_ca_file is None if settings.http_api is None else settings.http_api


def rpc_policy(settings: Settings) -> RpcPolicy:
    tls = None
    if settings.grpc_tls_cert_file and settings.grpc_tls_key_file:
        tls = Tls(settings.grpc_tls_cert_file, settings.grpc_tls_key_file, settings.grpc_tls_client_ca_file)
    return RpcPolicy(
        host=settings.host,
        port=settings.grpc_port,
        max_concurrent_streams=settings.grpc_max_concurrent_streams,
        reflection=settings.grpc_reflection,
        tls=tls,
    )


def cors(settings: Settings) -> Cors:
    return Cors(frozenset(filter(None, settings.http_cors_origins.split(","))))


def dispatcher_policy(settings: Settings) -> DispatcherPolicy:
    return DispatcherPolicy(
        quota_events=settings.dispatcher_quota_events,
        poll_s=settings.dispatcher_poll_seconds,
        lease_s=settings.dispatcher_lease_seconds,
        concurrent_shards=settings.dispatcher_concurrent_shards,
    )


def router_policy(settings: Settings) -> RouterPolicy:
    return RouterPolicy(
        refill_events=settings.router_refill_events,
        sweep_s=settings.router_sweep_seconds,
        retry_s=settings.router_retry_seconds,
        max_attempts=settings.router_max_attempts,
        batch_retention_days=settings.router_batch_retention_days,
    )


def tail_policy(settings: Settings) -> TailPolicy:
    return TailPolicy(
        watches_per_tenant=settings.event_watches_per_tenant,
        heartbeat_s=settings.event_watch_heartbeat_seconds,
        poll_s=settings.event_watch_poll_seconds,
        watch_s=stream_s(settings),
    )


def entitlement_tail_policy(settings: Settings) -> TailPolicy:
    """Only that something happened matters: little is kept of it."""
    return TailPolicy(
        poll_s=settings.event_watch_poll_seconds,
        watch_s=stream_s(settings),
        kept_events=100,
        kept_bytes=32 * 1024,
    )


def view_policy(settings: Settings) -> ViewPolicy:
    return ViewPolicy(keep_s=settings.entitlement_cache_seconds)


def stream_s(settings: Settings) -> float:
    """When streams end by themselves: before the deadline that each has, so that they end well."""
    return settings.grpc_stream_deadline_seconds * 0.95


def webhook_policy(settings: Settings) -> WebhookPolicy:
    return WebhookPolicy(
        interval_s=settings.webhook_worker_interval_seconds,
        limit=settings.webhook_worker_limit,
        max_retries=settings.webhook_max_retries,
        base_delay_s=settings.webhook_base_delay_seconds,
        max_delay_s=settings.webhook_max_delay_seconds,
        http_timeout_s=settings.webhook_http_timeout_seconds,
        rate_per_second=settings.webhook_rate_per_second,
        disable_after_s=settings.webhook_disable_after_days * 86_400.0,
        allow_private=settings.webhook_allow_private,
    )
