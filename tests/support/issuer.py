"""An issuer of tokens, as tests need it: keys of its own, and its key set on a real address."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from corebilling.values.clock import Clock

SECRET = "a secret of the issuer's that is long enough"
AUDIENCE = "corebilling"

Signer = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | str


def new_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_set(keys: Mapping[str, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey]) -> bytes:
    """The keys' public halves as a JSON web key set."""
    return json.dumps({"keys": [_public(name, key) for name, key in keys.items()]}).encode()


def _public(name: str, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> Mapping[str, Any]:
    public = key.public_key()
    is_rsa = isinstance(public, rsa.RSAPublicKey)
    algorithm = jwt.algorithms.RSAAlgorithm if is_rsa else jwt.algorithms.OKPAlgorithm
    return {**json.loads(algorithm.to_jwk(public)), "kid": name, "use": "sig"}  # type: ignore[arg-type]


@dataclass
class TestIssuer:
    """Makes tokens; any claim and header can be changed, or left out with None."""

    __test__ = False

    clock: Clock
    tenant_id: str
    name: str = "corebilling"
    algorithm: str = "HS256"
    key: Signer = SECRET
    key_id: str | None = None

    def token(self, user_type: str = "consumer", username: str = "ada", **claims: Any) -> str:
        return self.signed(self.claims(user_type, username, **claims))

    def claims(self, user_type: str = "consumer", username: str = "ada", **changed: Any) -> Mapping[str, Any]:
        now = self.clock.now()
        said = {
            "iss": self.name,
            "aud": AUDIENCE,
            "sub": f"sub-of-{username}",
            "iat": now,
            "exp": now + timedelta(hours=1),
            "cognito:username": username,
            "email": f"{username}@example.com",
            "custom:user_type": user_type,
            "custom:tenant_id": self.tenant_id,
            **{name.replace("__", ":"): value for name, value in changed.items()},
        }
        return {name: value for name, value in said.items() if value is not None}

    def signed(self, claims: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        head = {**({"kid": self.key_id} if self.key_id else {}), **(headers or {})}
        return jwt.encode(dict(claims), self.key, self.algorithm, headers=head)


def bearer(token: str) -> Sequence[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


@dataclass
class KeyServer:
    """Publishes a key set; `status` and `body` may be changed at any time, and it counts who asks."""

    url: str = ""
    body: bytes = b""
    status: int = 200
    asked: list[str] = field(default_factory=list)


@asynccontextmanager
async def key_server() -> AsyncIterator[KeyServer]:
    published = KeyServer()

    async def answer(request: web.Request) -> web.Response:
        published.asked.append(request.path)
        return web.Response(body=published.body, status=published.status, headers={"Location": "/elsewhere"})

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    published.url = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    yield published
    await runner.cleanup()
