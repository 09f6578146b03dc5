"""Who may issue tokens: a JSON file with an entry for each, or one secret of the installation's own."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
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
from pydantic_core import ErrorDetails

from corebilling.values.ids import PLATFORM_TENANT

MIN_SECRET_BYTES = 32
_OF_ACCOUNTS = frozenset({"consumer", "creator"})
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Algorithm = Literal[
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    "ES256", "ES384", "ES512", "EdDSA",
]  # fmt: skip

# What a field must be that is no plain text.
_FORMS = {
    "issuer": "a text of 1 to 500 characters",
    "audience": "a text, or a list of texts with at least one",
    "roles": 'an object of texts, as in {"admin": "billing_admin"}',
}


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
        if len(secret) < MIN_SECRET_BYTES:
            field = "secret" if self.secret is not None else f"secret_file {self.secret_file}"
            raise IssuersInvalid(f"{field} must have at least {MIN_SECRET_BYTES} bytes")
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
    issuers = (*own, *(_listed(path, roles) if path is not None else ()))
    names = [one.issuer for one in issuers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise IssuersInvalid(
            f"{path}, {min(twice)}: the issuer is listed twice, there or as JWT_ISSUER: each has one "
            "algorithm and one audience"
        )
    return issuers


def _listed(path: Path, roles: Collection[str]) -> Sequence[Issuer]:
    form = IssuersInvalid(f'{path} must be JSON as in {{"issuers": [{{"issuer": …}}]}}')
    try:
        entries = json.loads(_read(path))["issuers"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise form from None
    if not isinstance(entries, list):
        raise form
    read = [_entry(entry, roles) for entry in entries]
    problems = [
        f"{path}, {_name(entry, number)}: {problem}"
        for number, (entry, (_, found)) in enumerate(zip(entries, read, strict=True), 1)
        for problem in found
    ]
    if problems:
        raise IssuersInvalid("\n".join(problems))
    return [issuer for issuer, _ in read if issuer is not None]


def _entry(entry: Any, roles: Collection[str]) -> tuple[Issuer | None, Sequence[str]]:
    """The issuer, and what is wrong with it."""
    try:
        issuer = Issuer.model_validate(entry)
        if issuer.algorithm.startswith("HS"):
            issuer.shared_secret()
    except ValidationError as error:
        return None, [_problem(details) for details in error.errors()]
    except IssuersInvalid as error:
        return None, [str(error)]
    unknown = sorted(set(issuer.roles.values()) - set(roles))
    return issuer, [f"roles has no role {role}; there are {', '.join(roles)}" for role in unknown]


def _name(entry: Any, number: int) -> str:
    name = entry.get("issuer") if isinstance(entry, dict) else None
    return name if name and isinstance(name, str) else f"entry {number}"


def _problem(details: ErrorDetails) -> str:
    """In our words, without what the field says: it may be a secret."""
    if not details["loc"]:
        error = details.get("ctx", {}).get("error")
        return str(error) if error else "the entry must be a JSON object"
    field = str(details["loc"][0])
    match details["type"]:
        case "missing":
            return f"{field} is missing"
        case "extra_forbidden":
            return f"{field} is no field of an issuer; there are {', '.join(Issuer.model_fields)}"
        case "literal_error":
            return f"{field} must be one of {', '.join(get_args(Algorithm))}"
        case _:
            return f"{field} must be {_FORMS.get(field, 'a text')}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IssuersInvalid(f"{path} cannot be read: {error.strerror}") from None
