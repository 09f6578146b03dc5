"""Who may issue tokens: a JSON file with an entry for each, or one secret of the installation's own."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from annotated_types import MinLen
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from corebilling.values.ids import PLATFORM_TENANT

_MIN_SECRET_BYTES = 32
_OF_ACCOUNTS = frozenset({"consumer", "creator"})
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip


class IssuersInvalid(Exception):
    """The issuers cannot be used; the message has a line for each problem, and no secret."""


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Issuer(BaseModel):
    """One issuer and what its tokens say. Exactly one of the sources of keys is given.

    Tokens of `tenant_id` when that is given; otherwise the issuer is trusted to name any tenant but the
    platform's, in `tenant_claim`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(min_length=1, max_length=500)
    audience: Annotated[tuple[str, ...], BeforeValidator(_several), MinLen(1)]
    # The only one that counts, whatever a token's header says.
    algorithm: Algorithm
    secret: SecretStr | None = None
    secret_file: Path | None = None
    jwks_file: Path | None = None
    jwks_url: str | None = None
    tenant_id: str = ""
    tenant_claim: str = "custom:tenant_id"
    # Which account a consumer or creator is: a customer's `external_id`.
    account_claim: str = "cognito:username"
    role_claim: str = "custom:user_type"
    # What the role claim says, and the role that this is here.
    roles: dict[str, str] = {"consumer": "consumer", "creator": "creator", "admin": "billing_admin"}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        shared = self.algorithm.startswith("HS")
        wanted = ("secret", "secret_file") if shared else ("jwks_file", "jwks_url")
        given = [name for name in ("secret", "secret_file", "jwks_file", "jwks_url") if getattr(self, name)]
        if len(given) != 1 or given[0] not in wanted:
            raise ValueError(f"{self.algorithm} needs {' or '.join(wanted)}, and nothing else")
        if self.jwks_url is not None and not _private_enough(self.jwks_url):
            raise ValueError("jwks_url must be https (http is for loopback alone)")
        if "platform_admin" in self.roles.values() and self.tenant_id != PLATFORM_TENANT:
            raise ValueError(f"platform_admin wants tenant_id {PLATFORM_TENANT}")
        if self.tenant_id == PLATFORM_TENANT:
            self._check_operators()
        return self

    def _check_operators(self) -> None:
        """Who operates the installation is never said by leaving it out."""
        if "roles" not in self.model_fields_set:
            raise ValueError(
                f'tenant_id {PLATFORM_TENANT} needs roles, as in {{"operator": "platform_admin"}}'
            )
        if people := _OF_ACCOUNTS.intersection(self.roles.values()):
            raise ValueError(
                f"the platform has no customers: take {min(people)} out of the roles, "
                f"or give another tenant_id than {PLATFORM_TENANT}"
            )

    def shared_secret(self) -> bytes:
        """Raises IssuersInvalid when it is short: whoever guesses it is everybody."""
        if self.secret is not None:
            secret = self.secret.get_secret_value().encode()
        else:
            assert self.secret_file is not None
            secret = _read(self.secret_file).strip()
        if len(secret) < _MIN_SECRET_BYTES:
            raise IssuersInvalid(f"{self.issuer}: the secret must have at least {_MIN_SECRET_BYTES} bytes")
        return secret


def _private_enough(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def read_issuers(path: Path | None, own: Sequence[Issuer], roles: Collection[str]) -> tuple[Issuer, ...]:
    """The issuers of the file, and the installation's own.

    Args:
        roles: Those that there are.

    Raises:
        IssuersInvalid: When a file cannot be read, or an entry is not what it must be.
    """
    issuers = (*own, *(_listed(path) if path is not None else ()))
    names = [one.issuer for one in issuers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise IssuersInvalid(f"{min(twice)} is listed twice: each issuer has one algorithm and one audience")
    for one in issuers:
        if unknown := set(one.roles.values()) - set(roles):
            raise IssuersInvalid(f"{one.issuer}: no role {min(unknown)}; there are {', '.join(roles)}")
    return issuers


def _listed(path: Path) -> Sequence[Issuer]:
    try:
        entries = json.loads(_read(path))["issuers"]
        return [Issuer.model_validate(entry) for entry in entries]
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, one['loc'])) or 'issuer'}: {one['msg']}" for one in error.errors())
        raise IssuersInvalid("\n".join(f"{path}: {problem}" for problem in problems)) from None
    except (ValueError, KeyError, TypeError):
        raise IssuersInvalid(f'{path} must be JSON as in {{"issuers": [{{"issuer": …}}]}}') from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IssuersInvalid(f"{path} cannot be read: {error.strerror}") from None
