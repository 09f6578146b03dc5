"""Tokens of people (JWT, RFC 7519): who they say it is, once it is sure that an issuer of ours says so."""

import hashlib
from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import jwt

from corebilling.errors import Unauthenticated
from corebilling.rpc.issuers import Issuer
from corebilling.rpc.signing_keys import (
    PublishedKeys,
    SharedSecret,
    SigningKeys,
    file_reader,
    url_reader,
)
from corebilling.values.clock import Clock
from corebilling.values.ids import PLATFORM_TENANT, TENANT_ID

# gRPC takes headers of 8 KiB altogether.
_MAX_TOKEN = 6144
_MAX_ACCOUNT = 200
# Clocks of issuers may be ahead or behind by so much.
_LEEWAY = timedelta(seconds=30)
# Nothing expires later: with the leeway it would be beyond the last day there is.
_LATEST = datetime.max.replace(tzinfo=UTC) - _LEEWAY
# PyJWT reads the wall clock: the times are checked here, by the clock of the server.
_OPTIONS: Any = {
    "require": ["iss", "aud", "exp", "sub"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "enforce_minimum_key_length": True,
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a token stands for."""

    tenant_id: str
    actor: str
    """Tells people apart in events and audit entries without naming them."""
    role: str
    account: str
    """The `external_id` of their customer; '' when the token names none."""
    expires_at: datetime


def is_token(text: str) -> bool:
    """Three parts between dots: no API key has any."""
    return text.count(".") == 2


class Tokens:
    """Verifies tokens of the issuers given."""

    def __init__(self, issuers: Sequence[Issuer], clock: Clock) -> None:
        """Raises IssuersInvalid when a shared secret cannot be used."""
        self._clock = clock
        self._issuers = {one.issuer: (one, _keys(one, clock)) for one in issuers}

    async def verify(self, text: str) -> Identity:
        """Raises:
        Unauthenticated: TOKEN_INVALID {problem}.
        Unavailable: ISSUER_UNAVAILABLE.
        """
        if len(text) > _MAX_TOKEN:
            _refuse("size", f"A token has at most {_MAX_TOKEN} bytes.")
        header, issuer, keys = self._trusted(text)
        if header.get("alg") != issuer.algorithm:
            _refuse("algorithm", f"This issuer signs with {issuer.algorithm} and nothing else.")
        key_id = header.get("kid")
        candidates = await keys.find(key_id if isinstance(key_id, str) else None)
        if not candidates:
            _refuse("key", "The issuer publishes no key of the token's `kid`.")
        claims = _claims(text, candidates, issuer)
        now = self._clock.now()
        return Identity(
            tenant_id=_tenant(claims, issuer),
            actor=_actor(issuer, claims),
            role=_role(claims, issuer),
            account=_account(claims, issuer),
            expires_at=_expiry(claims, now),
        )

    def _trusted(self, text: str) -> tuple[Mapping[str, Any], Issuer, SigningKeys]:
        """The header, and the issuer that the token names: unproven until its signature is checked."""
        try:
            header = jwt.get_unverified_header(text)
            named = jwt.decode(text, options={"verify_signature": False}).get("iss")
        except (jwt.PyJWTError, ValueError, RecursionError):
            _refuse("form", "This is no token.")
        known = self._issuers.get(named) if isinstance(named, str) else None
        if known is None:
            _refuse("issuer", "The token is of no issuer that this server trusts.")
        return header, *known


def _keys(issuer: Issuer, clock: Clock) -> SigningKeys:
    if issuer.jwks_file is not None:
        return PublishedKeys(file_reader(issuer.jwks_file), issuer.issuer, issuer.algorithm, clock)
    if issuer.jwks_url is not None:
        return PublishedKeys(url_reader(issuer.jwks_url), issuer.issuer, issuer.algorithm, clock)
    return SharedSecret(issuer.shared_secret())


def _claims(text: str, candidates: Sequence[Any], issuer: Issuer) -> Mapping[str, Any]:
    tried = (_signed_claims(text, key, issuer) for key in candidates)
    claims = next((one for one in tried if one is not None), None)
    if claims is None:
        _refuse("signature", "The signature is not the issuer's.")
    return claims


def _signed_claims(text: str, key: Any, issuer: Issuer) -> Mapping[str, Any] | None:
    """None when this key did not sign them."""
    try:
        return jwt.decode(
            text,
            key,
            algorithms=[issuer.algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options=_OPTIONS,
        )
    except jwt.InvalidAudienceError:
        _refuse("audience", "The token is for another audience.")
    except jwt.MissingRequiredClaimError as error:
        _refuse("claims", f"The token lacks the claim {error.claim}.")
    except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
        return None
    except (jwt.PyJWTError, ValueError, RecursionError):
        _refuse("form", "This is no token of the issuer's form.")


def _expiry(claims: Mapping[str, Any], now: datetime) -> datetime:
    expires_at = _moment(claims, "exp")
    assert expires_at is not None, "it is required"
    if expires_at <= now - _LEEWAY:
        _refuse("expired", "The token has expired; get a new one.")
    for name in ("nbf", "iat"):
        since = _moment(claims, name)
        if since is not None and since > now + _LEEWAY:
            _refuse("early", "The token is not valid yet.")
    return min(expires_at, _LATEST) + _LEEWAY


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError
        return datetime.fromtimestamp(value, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        _refuse("claims", f"The claim {name} is no time.")


def _tenant(claims: Mapping[str, Any], issuer: Issuer) -> str:
    if issuer.tenant_id:
        return issuer.tenant_id
    claimed = claims.get(issuer.tenant_claim)
    if not isinstance(claimed, str) or TENANT_ID.fullmatch(claimed) is None or claimed == PLATFORM_TENANT:
        _refuse("claims", f"The claim {issuer.tenant_claim} must name a tenant.")
    return claimed


def _role(claims: Mapping[str, Any], issuer: Issuer) -> str:
    claimed = claims.get(issuer.role_claim)
    role = issuer.roles.get(claimed) if isinstance(claimed, str) else None
    if role is None:
        known = ", ".join(issuer.roles)
        _refuse("claims", f"The claim {issuer.role_claim} must be one of: {known}.")
    return role


def _account(claims: Mapping[str, Any], issuer: Issuer) -> str:
    account = claims.get(issuer.account_claim, "")
    if not isinstance(account, str) or len(account) > _MAX_ACCOUNT or not account.isprintable():
        _refuse(
            "claims", f"The claim {issuer.account_claim} must be a text of at most {_MAX_ACCOUNT} characters."
        )
    return account


def _actor(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    """A pseudonym: the subject may be a mail address, which belongs into no event and no log."""
    try:
        subject = claims["sub"].encode()
    except UnicodeEncodeError:  # Half a surrogate pair, which JSON can say.
        subject = b""
    if not subject:
        _refuse("claims", "The claim sub must name somebody.")
    digest = hashlib.sha256(issuer.issuer.encode() + b"\0" + subject).digest()
    return f"usr_{b32encode(digest[:15]).decode().lower()}"


def _refuse(problem: str, message: str) -> NoReturn:
    raise Unauthenticated("TOKEN_INVALID", message, {"problem": problem})
