"""A real Apache Kafka, one KRaft node on loopback, where Java and Maven can be had.

The jars come from Maven into build/kafka, once: `python -m tests.support.kafka`, or `make kafka`.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificate import self_signed
from tests.support.child import ends_with
from tests.support.ports import free_port

LIBS = Path(__file__).parents[2] / "build" / "kafka"

_POM = Path(__file__).with_name("kafka-pom.xml")
_CLUSTER_ID = "Y29yZWJpbGxpbmctdGVzdA"
_JAVA_RELEASE = 17
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_FETCH_TIMEOUT_S = 300.0
_JAVA = ["java", "-Xmx384M", "-Xms128M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=CLIENT://127.0.0.1:{port}
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:{protocol},CONTROLLER:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
auto.create.topics.enable=true
num.partitions=1
broker.session.timeout.ms=1500
broker.heartbeat.interval.ms=300
log.cleaner.dedupe.buffer.size=10485760
log.index.size.max.bytes=1048576
"""
_SECURITY = """
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config=\\
    org.apache.kafka.common.security.plain.PlainLoginModule required \\
    username="{user}" password="{password}" user_{user}="{password}";
listener.name.client.scram-sha-512.sasl.jaas.config=\\
    org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={folder}/keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/cert.pem
"""
_LOGGING = """
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.target=System.err
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n
"""


class KafkaServer:
    """Keeps its ports from start to start, and what is in its folder but for `wipe`. Like most out there it
    makes topics on first mention, with one partition.

    Args:
        secure: Speaks TLS alone, under a certificate of its own, and wants USER and PASSWORD by SASL (PLAIN
            or SCRAM-SHA-512).
    """

    name = "kafka"
    USER = "corebilling"
    PASSWORD = "secret"

    def __init__(self, *, secure: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cb-kafka-"))
        self._secure = secure
        self.cert_file = self._folder / "cert.pem"
        self.port = free_port()
        self._controller_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str:
        """Why it cannot be had; '' when it can, after fetching it if need be."""
        if _java_release() < _JAVA_RELEASE:
            return f"Java {_JAVA_RELEASE} is not installed"
        if LIBS.is_dir():
            return ""
        if shutil.which("mvn") is None:
            return "Maven is not installed, which would fetch it"
        return fetch()

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"event_bus_provider": "kafka", "kafka_brokers": f"127.0.0.1:{self.port}"}

    def start(self) -> None:
        if not (self._folder / "data").exists():
            self._format()
        self._process = subprocess.Popen(
            ends_with(os.getpid(), *self._java("kafka.Kafka"), str(self._folder / "server.properties")),
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "log").open("ab"),
        )
        self._await_ready()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def wipe(self) -> None:
        self.kill()
        shutil.rmtree(self._folder / "data")
        shutil.copytree(self._folder / "formatted", self._folder / "data")
        self.start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def _format(self) -> None:
        """As a new installation is, and a copy of it to come back to."""
        protocol = "SASL_SSL" if self._secure else "PLAINTEXT"
        properties = _PROPERTIES.format(
            folder=self._folder, port=self.port, controller_port=self._controller_port, protocol=protocol
        )
        options: list[str] = []
        if self._secure:
            cert_file, key_file = self_signed(self._folder)
            (self._folder / "keystore.pem").write_text(key_file.read_text() + cert_file.read_text())
            properties += _SECURITY.format(folder=self._folder, user=self.USER, password=self.PASSWORD)
            options = ["--add-scram", f"SCRAM-SHA-512=[name={self.USER},password={self.PASSWORD}]"]
        (self._folder / "server.properties").write_text(properties)
        (self._folder / "log4j.properties").write_text(_LOGGING)
        subprocess.run(
            [
                *self._java("kafka.tools.StorageTool"),
                *("format", "-t", _CLUSTER_ID, "-c", str(self._folder / "server.properties"), *options),
            ],
            check=True,
            capture_output=True,
        )
        shutil.copytree(self._folder / "data", self._folder / "formatted")

    def _java(self, main: str) -> list[str]:
        logging = f"-Dlog4j.configuration=file:{self._folder / 'log4j.properties'}"
        return [*_JAVA, logging, "-cp", f"{LIBS}/*", main]

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _await_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"Kafka does not answer; see {self._folder / 'log'}")


def _java_release() -> int:
    """0 without Java."""
    if shutil.which("java") is None:
        return 0
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def fetch() -> str:
    """Brings the jars, whole or not at all; '' when they are there, else why not."""
    LIBS.parent.mkdir(exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix="kafka-", dir=LIBS.parent))
    command = ["mvn", "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies"]
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"]
    try:
        fetched = subprocess.run(
            [*command, *options], capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        shutil.rmtree(unfinished)
        return "Maven did not fetch it in time"
    if fetched.returncode:
        shutil.rmtree(unfinished)
        return f"Maven could not fetch it: {fetched.stdout.strip().splitlines()[:1]}"
    try:
        unfinished.rename(LIBS)
    except OSError:  # Another process was faster.
        shutil.rmtree(unfinished)
    return ""


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaServer]:
    """Skipped by name where it cannot be had."""
    if why := KafkaServer.missing():
        pytest.skip(f"no Apache Kafka: {why}")
    server = KafkaServer()
    server.start()
    yield server
    server.close()


if __name__ == "__main__":
    if why := KafkaServer.missing():
        print(f"No Apache Kafka: {why}. Its tests are skipped.")
    else:
        print(f"Apache Kafka is in {LIBS}.")
    sys.exit()
