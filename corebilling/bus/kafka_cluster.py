"""The brokers: how they are reached, and the topic that must be there."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    for_code,
)

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES = 1024 * 1024

_REQUEST_TIMEOUT_MS = 5_000
_METADATA_AGE_MS = 5_000
_RETRY_MS = 100
_TIMEOUT_S = 10.0
_LOOK_S = 0.05
_KEPT_MS = 7 * 24 * 3600 * 1000

UNREACHABLE = (KafkaError, TimeoutError, OSError)
"""What passes, or must be put right at the brokers: waited out, and said."""

_DENIED = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    ssl.SSLError,
)


class TopicMismatch(Exception):
    """The topic has more partitions than the platform has shards; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where the brokers are, who we are to them, and what the topic and the group are called there.

    `installation`: whose deliveries it carries; others are passed over.
    """

    brokers: str
    topic: str
    group_id: str
    partitions: int
    installation: str
    replicas: int = 1
    security: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    ssl_ca_file: Path | None = None

    def connection(self) -> Mapping[str, Any]:
        """What every client of the library is opened with.

        Raises OSError if the file of authorities cannot be read.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": self.brokers,
            "client_id": "corebilling",
            "security_protocol": self.security,
            "request_timeout_ms": _REQUEST_TIMEOUT_MS,
            "retry_backoff_ms": _RETRY_MS,
            "metadata_max_age_ms": _METADATA_AGE_MS,
        }
        if self.security.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        if self.security.endswith("SSL"):
            cafile = None if self.ssl_ca_file is None else str(self.ssl_ca_file)
            options["ssl_context"] = ssl.create_default_context(cafile=cafile)
        return options


def say(event: str, error: BaseException) -> None:
    """Loudly when waiting alone will not help."""
    if isinstance(error, _DENIED):
        log.error(event, denied=True, error=repr(error))
    else:
        log.warning(event, error=repr(error))


async def ensure_topic(address: KafkaAddress, connection: Mapping[str, Any]) -> None:
    """Makes the topic if it is missing. If it has too few partitions it is given more: brokers that make
    topics on first mention make them so, and nothing depends on where a delivery lies.

    Raises:
        TopicMismatch: it has more partitions, which nothing can take away.
        KafkaError, TimeoutError, OSError: the brokers cannot, or will not, do it now.
    """
    admin = AIOKafkaAdminClient(**connection)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            try:
                await admin.start()
            except KafkaConnectionError:
                await _find_out_why(connection)
                raise
            while True:
                if await _fits(admin, address):
                    return
                await asyncio.sleep(_LOOK_S)
    finally:
        await admin.close()


async def _fits(admin: AIOKafkaAdminClient, address: KafkaAddress) -> bool:
    """Whether the topic is there as it should be. If not, something was done about it: look again."""
    # All topics: brokers may make a topic because someone asks for it by name.
    topics = {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics()}
    partitions = topics.get(address.topic, 0)
    if partitions == 0:
        log.info("kafka.topic_is_made", topic=address.topic, partitions=address.partitions)
        await _make(admin, address)
    elif partitions < address.partitions:
        log.warning("kafka.topic_grows", topic=address.topic, partitions=partitions, to=address.partitions)
        await admin.create_partitions({address.topic: NewPartitions(total_count=address.partitions)})
    elif partitions > address.partitions:
        raise TopicMismatch(
            f"topic {address.topic} has {partitions} partitions, wanted are {address.partitions}, "
            "one per shard: name another topic with KAFKA_TOPIC, or delete this one"
        )
    return partitions == address.partitions


async def _make(admin: AIOKafkaAdminClient, address: KafkaAddress) -> None:
    topic = NewTopic(
        address.topic,
        num_partitions=address.partitions,
        replication_factor=address.replicas,
        topic_configs={
            "cleanup.policy": "delete",
            "max.message.bytes": str(MAX_MESSAGE_BYTES),
            "min.insync.replicas": str(max(1, address.replicas - 1)),
            "retention.ms": str(_KEPT_MS),
        },
    )
    answer = await admin.create_topics([topic], timeout_ms=_REQUEST_TIMEOUT_MS)
    for _, code, message in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:  # which someone has just made
            raise for_code(code)(message)


async def _find_out_why(connection: Mapping[str, Any]) -> None:
    """Raises what stands between us and the brokers: the library says only that they are not reached."""
    options = {key: value for key, value in connection.items() if key not in _OF_CLIENTS_ALONE}
    for host, port, _ in collect_hosts(connection["bootstrap_servers"]):
        found = await create_conn(host, port, **options)
        found.close()


_OF_CLIENTS_ALONE = ("bootstrap_servers", "retry_backoff_ms", "metadata_max_age_ms")
