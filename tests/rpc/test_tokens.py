"""Tokens of people through the server: whose word counts, and for what."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from corebilling.rpc.issuers import Issuer
from corebilling.values.ids import PLATFORM_TENANT, new_id
from tests.support.app import App, refused, running_app
from tests.support.issuer import AUDIENCE, SECRET, TestIssuer, bearer, key_server, new_rsa_key, public_set
from tests.support.postgres import TestDatabase

HS = Issuer.model_validate(
    {"issuer": "corebilling", "audience": AUDIENCE, "algorithm": "HS256", "secret": SECRET}
)


@asynccontextmanager
async def trusting(database: TestDatabase, *issuers: Issuer) -> AsyncIterator[App]:
    async with running_app(database, issuers=issuers or (HS,)) as app:
        yield app


@pytest.fixture
async def app(database: TestDatabase) -> AsyncIterator[App]:
    async with trusting(database) as opened:
        yield opened


def issuer(app: App, **fields: Any) -> TestIssuer:
    return TestIssuer(app.clock, app.tenant_id, **fields)


async def create(app: App, token: str) -> Any:
    request = rpc.CreateCustomerRequest(request_id=new_id("req"), currency="EUR")
    request.details.name = "Ada"
    stub = app.stub(CustomerServiceStub, key="")
    return await stub.CreateCustomer(request, metadata=bearer(token))


async def problem(app: App, token: str) -> str:
    """What the refusal says is wrong with the token."""
    refusal = await refused(create(app, token))
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
    return refusal.facts["problem"]


async def test_token_of_an_admin_opens_the_tenant_and_is_kept_as_a_pseudonym(app: App) -> None:
    created = await create(app, issuer(app).token("admin", "ada@example.com"))
    assert created.customer.tenant_id == app.tenant_id
    (entry,) = await app.database.admin(
        "SELECT actor FROM audit_entries WHERE action LIKE '%CreateCustomer' AND tenant_id = $1",
        app.tenant_id,
    )
    assert entry["actor"].startswith("usr_")
    again = await create(app, issuer(app).token("admin", "ada@example.com", custom__x="another token"))
    rows = await app.database.admin(
        "SELECT row_to_json(e)::text AS text FROM billing_events AS e WHERE resource_id = ANY ($1)",
        [created.customer.id, again.customer.id],
    )
    assert len(rows) == 2
    assert all(entry["actor"] in row["text"] and "example.com" not in row["text"] for row in rows)


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"aud": "another"}, "audience"),
        ({"aud": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"sub": 7}, "form"),
        ({"sub": ""}, "claims"),
        ({"sub": "\ud800"}, "claims"),
        ({"exp": None}, "claims"),
        ({"exp": "tomorrow"}, "claims"),
        ({"exp": True}, "claims"),
        ({"exp": 1e300}, "claims"),
        ({"exp": float("nan")}, "claims"),
        ({"custom__user_type": "owner"}, "claims"),
        ({"custom__user_type": None}, "claims"),
        ({"custom__user_type": ["admin"]}, "claims"),
        ({"custom__tenant_id": None}, "claims"),
        ({"custom__tenant_id": PLATFORM_TENANT}, "claims"),
        ({"custom__tenant_id": "ten_unknown"}, "claims"),
        ({"custom__tenant_id": "ten_'; SELECT 1"}, "claims"),
        ({"cognito__username": 7}, "claims"),
        ({"cognito__username": "a\0b"}, "claims"),
        ({"cognito__username": "a" * 201}, "claims"),
        ({"extra": "x" * 5000}, "size"),
    ],
)
async def test_token_that_says_what_it_must_not_is_refused(
    app: App, changed: dict[str, Any], wrong: str
) -> None:
    assert await problem(app, issuer(app).token("admin", **changed)) == wrong


async def test_of_two_credentials_that_of_authorization_counts(app: App) -> None:
    token, key = issuer(app).token("admin"), app.tenant_key
    for bearer_, other, accepted in ((token, "wrong", True), ("wrong", key, False), ("", token, True)):
        metadata = (*(bearer(bearer_) if bearer_ else ()), ("x-api-key", other))
        call = app.stub(CustomerServiceStub, key="").ListCustomers(
            rpc.ListCustomersRequest(), metadata=metadata
        )
        if accepted:
            await call
        else:
            assert (await refused(call)).code == "UNAUTHENTICATED"


async def test_token_holds_from_its_beginning_to_its_end(app: App) -> None:
    now, made = app.clock.now(), issuer(app)
    assert await problem(app, made.token("admin", exp=now - timedelta(seconds=31))) == "expired"
    assert await problem(app, made.token("admin", nbf=now + timedelta(seconds=31))) == "early"
    assert await problem(app, made.token("admin", iat=now + timedelta(seconds=31))) == "early"
    # Clocks may differ by half a minute.
    await create(app, made.token("admin", nbf=now + timedelta(seconds=29)))
    token = made.token("admin", exp=now + timedelta(seconds=1))
    await create(app, token)
    app.clock.advance(seconds=32)
    assert await problem(app, token) == "expired"


@pytest.mark.parametrize("end", [253402300799, 253402300799.5])
async def test_token_that_never_ends_is_a_token(app: App, end: float) -> None:
    await create(app, issuer(app).token("admin", exp=end))


def raw(header: Any, claims: Any, signature: bytes = b"") -> str:
    parts = [json.dumps(header, default=str).encode(), json.dumps(claims, default=str).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def numbered(claims: Any) -> Any:
    return {**claims, "exp": claims["exp"].timestamp(), "iat": claims["iat"].timestamp()}


async def test_only_the_issuers_own_algorithm_and_key_count(app: App) -> None:
    made = issuer(app)
    claims = numbered(made.claims("admin"))
    for none in ("none", "None", "NONE", "nOnE"):
        assert await problem(app, raw({"alg": none, "typ": "JWT"}, claims)) == "algorithm"
    stolen = made.token("admin").rpartition(".")[0] + "."
    assert await problem(app, stolen) == "signature"
    assert (
        await problem(app, issuer(app, key="some other secret that is long enough").token("admin"))
        == "signature"
    )
    assert await problem(app, issuer(app, algorithm="HS512").token("admin")) == "algorithm"
    assert await problem(app, raw({"alg": "HS256"}, claims, b"x" * 32)) == "signature"
    assert await problem(app, raw({"alg": ["HS256"]}, claims)) in ("algorithm", "form")
    assert await problem(app, raw({"alg": "HS256"}, {**claims, "iss": [claims["iss"]]})) == "issuer"


@pytest.mark.parametrize(
    "text", ["a.b.c", "..", "eyJ.eyJ.x", "e30.e30.e30", "W10.W10.W10", "." * 2 + "x" * 5000]
)
async def test_what_is_no_token_is_refused(app: App, text: str) -> None:
    assert await problem(app, text) in ("form", "issuer")


async def test_deeply_nested_token_is_refused(app: App) -> None:
    nested = base64.urlsafe_b64encode(b"[" * 2000).decode().rstrip("=")
    assert await problem(app, f"{nested}.{nested}.x") == "form"


async def test_token_of_a_suspended_tenant_opens_nothing(app: App) -> None:
    await app.database.admin("UPDATE tenants SET status = 'suspended' WHERE id = $1", app.tenant_id)
    refusal = await refused(create(app, issuer(app).token("admin")))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "TENANT_NOT_ACTIVE")


async def test_issuer_without_entry_is_not_trusted_and_a_pinned_tenant_is_not_claimed(
    database: TestDatabase,
) -> None:
    pinned = HS.model_copy(update={"issuer": "pool", "tenant_id": "ten_pinned"})
    async with trusting(database, pinned) as app:
        assert await problem(app, issuer(app).token("admin")) == "issuer"
        claiming = issuer(app, name="pool").token("admin")
        assert await problem(app, claiming) == "claims"
        await app.database.admin(
            "INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at) "
            "VALUES ('ten_pinned', 'p', 'p', 'live', 'EUR', 'UTC', now())"
        )
        assert (await create(app, claiming)).customer.tenant_id == "ten_pinned"


async def test_public_key_is_no_secret_to_sign_with(database: TestDatabase, tmp_path: Path) -> None:
    """The old confusion: a token signed by HMAC with the issuer's public key."""
    key = new_rsa_key()
    file = tmp_path / "jwks.json"
    file.write_bytes(public_set({"one": key}))
    entry = {"issuer": "https://pool.example", "audience": AUDIENCE, "algorithm": "RS256", "jwks_file": file}
    async with trusting(database, Issuer.model_validate(entry)) as app:
        made = issuer(app, name="https://pool.example", algorithm="RS256", key=key, key_id="one")
        await create(app, made.token("admin"))
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for alg in ("HS256", "RS256"):
            unsigned = raw({"alg": alg, "kid": "one"}, numbered(made.claims("admin"))).rstrip(".")
            signature = hmac.new(pem, unsigned.encode(), hashlib.sha256).digest()
            forged = f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
            assert await problem(app, forged) == ("algorithm" if alg == "HS256" else "signature")
        thief = issuer(app, name=made.name, algorithm="RS256", key=new_rsa_key(), key_id="one")
        assert await problem(app, thief.token("admin")) == "signature"
        # A set may hold several keys: which one signed is said by the token, or there is only one.
        nameless = issuer(app, name=made.name, algorithm="RS256", key=key)
        await create(app, nameless.token("admin"))
        # What a header offers as key is not looked at.
        own = thief.signed(
            thief.claims("admin"), {"jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/"}
        )
        assert await problem(app, own) == "signature"


async def test_keys_are_read_again_when_a_new_one_signs_and_not_at_every_guess(
    database: TestDatabase,
) -> None:
    first, second = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    async with key_server() as published:
        published.body = public_set({"one": first})
        entry = {"issuer": "idp", "audience": AUDIENCE, "algorithm": "EdDSA", "jwks_url": published.url}
        async with trusting(database, Issuer.model_validate(entry)) as app:
            old = issuer(app, name="idp", algorithm="EdDSA", key=first, key_id="one")
            new = issuer(app, name="idp", algorithm="EdDSA", key=second, key_id="two")
            await create(app, old.token("admin"))
            invented = issuer(app, name="idp", algorithm="EdDSA", key=second, key_id="invented")
            for _ in range(3):
                assert await problem(app, invented.token("admin")) == "key"
            assert len(published.asked) == 2
            published.body = public_set({"one": first, "two": second})
            await create(app, new.token("admin"))
            assert len(published.asked) == 3
            # An issuer that is away, or answers nonsense, stops nobody whose key is known.
            for published.status, published.body in (
                (500, b""),
                (302, b""),
                (200, b"[]"),
                (200, b"x" * 300_000),
            ):
                app.clock.advance(minutes=11)
                await create(app, new.token("admin"))
            # A key that was withdrawn is forgotten within ten minutes.
            published.status, published.body = 200, public_set({"one": first})
            app.clock.advance(minutes=11)
            assert await problem(app, new.token("admin")) == "key"


async def test_issuer_that_never_answered_is_tried_again(database: TestDatabase) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    async with key_server() as published:
        published.status = 503
        entry = {"issuer": "idp", "audience": AUDIENCE, "algorithm": "EdDSA", "jwks_url": published.url}
        async with trusting(database, Issuer.model_validate(entry)) as app:
            made = issuer(app, name="idp", algorithm="EdDSA", key=key, key_id="one")
            refusal = await refused(create(app, made.token("admin")))
            assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "ISSUER_UNAVAILABLE")
            assert refusal.retry_after_s == 30
            published.status, published.body = 200, public_set({"one": key})
            app.clock.advance(seconds=31)
            await create(app, made.token("admin"))


async def test_private_key_in_the_published_set_is_not_used(database: TestDatabase, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    secret = base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
    file.write_text(json.dumps({"keys": [{"kty": "oct", "k": secret, "kid": "one"}]}))
    entry = {"issuer": "idp", "audience": AUDIENCE, "algorithm": "RS256", "jwks_file": file}
    async with trusting(database, Issuer.model_validate(entry)) as app:
        made = issuer(app, name="idp", algorithm="RS256", key=new_rsa_key(), key_id="one")
        assert await problem(app, made.token("admin")) == "key"


async def test_issuer_that_publishes_no_key_any_more_has_withdrawn_them_all(database: TestDatabase) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    async with key_server() as published:
        published.body = public_set({"one": key})
        entry = {"issuer": "idp", "audience": AUDIENCE, "algorithm": "EdDSA", "jwks_url": published.url}
        async with trusting(database, Issuer.model_validate(entry)) as app:
            made = issuer(app, name="idp", algorithm="EdDSA", key=key, key_id="one")
            await create(app, made.token("admin"))
            published.body = b'{"keys": []}'
            app.clock.advance(minutes=11)
            assert await problem(app, made.token("admin")) == "key"


@pytest.mark.parametrize("name", ["one", None])
async def test_each_of_the_keys_that_share_a_name_or_have_none_counts(
    database: TestDatabase, tmp_path: Path, name: str | None
) -> None:
    keys = [ed25519.Ed25519PrivateKey.generate() for _ in range(3)]
    listed = [json.loads(public_set({"one": key}))["keys"][0] for key in keys[:2]]
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [{**key, "kid": name} for key in listed]}))
    entry = {"issuer": "idp", "audience": AUDIENCE, "algorithm": "EdDSA", "jwks_file": file}
    async with trusting(database, Issuer.model_validate(entry)) as app:
        first, second, thief = (
            issuer(app, name="idp", algorithm="EdDSA", key=key, key_id=name) for key in keys
        )
        await create(app, first.token("admin"))
        await create(app, second.token("admin"))
        assert await problem(app, thief.token("admin")) == "signature"
        # The key that signed decides: what its token says is not tried with the next one.
        assert await problem(app, first.token("admin", aud="another")) == "audience"
