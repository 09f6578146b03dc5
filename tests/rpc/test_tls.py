"""TLS of the gRPC server, and certificates of its clients."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from corebilling.listening import AddressUnavailable
from corebilling.rpc.certificates import CertificateInvalid, Tls
from corebilling.rpc.server import RpcPolicy, RpcServer
from tests.support.certificate import self_signed


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of 127.0.0.1, signed by itself."""
    return self_signed(tmp_path_factory.mktemp("tls"))


def server(tls: Tls | None, port: int = 0) -> RpcServer:
    policy = RpcPolicy("127.0.0.1", port, max_concurrent_streams=10, reflection=False, tls=tls)
    return RpcServer({}, (), policy)


async def check(port: int, credentials: grpc.ChannelCredentials) -> Any:
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return (await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)).status


async def test_server_with_a_certificate_speaks_tls_alone(pair: tuple[Path, Path]) -> None:
    cert_file, key_file = pair
    running = server(Tls(cert_file, key_file))
    port = await running.start()
    trusting = grpc.ssl_channel_credentials(cert_file.read_bytes())
    assert await check(port, trusting) == health_pb2.HealthCheckResponse.SERVING
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await running.stop(grace_s=0)


async def test_clients_need_a_certificate_where_an_authority_is_named(pair: tuple[Path, Path]) -> None:
    cert_file, key_file = pair
    running = server(Tls(cert_file, key_file, client_ca_file=cert_file))
    port = await running.start()
    root, key = cert_file.read_bytes(), key_file.read_bytes()
    known = grpc.ssl_channel_credentials(root, key, root)
    assert await check(port, known) == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await check(port, grpc.ssl_channel_credentials(root))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await running.stop(grace_s=0)


async def test_a_key_of_another_certificate_is_told_so(pair: tuple[Path, Path], tmp_path: Path) -> None:
    _, other_key = self_signed(tmp_path)
    with pytest.raises(CertificateInvalid, match="do not belong together"):
        await server(Tls(pair[0], other_key)).start()


async def test_taken_port_is_named() -> None:
    first = server(None)
    port = await first.start()
    with pytest.raises(AddressUnavailable, match=f"127.0.0.1:{port}"):
        await server(None, port).start()
    await first.stop(grace_s=0)
