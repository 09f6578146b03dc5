"""The named queries of all domains, and what they would be if they forgot their tenant."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import billing_db

_HEAD = "-- name: "
_COLUMN = r"(?:\b\w+\.)?\btenant_id\b"
# Of the table of tenants itself, where its id is the tenant's; by its alias `t`, or alone.
_TENANTS = re.compile(r"\btenants(?:\s+(?:AS\s+)?(t)\b)?")
# `tenant_id = $1`: the parameter stays, for Postgres to know its type.
_OF_THE_CALLER = re.compile(rf"{_COLUMN}\s*=\s*(\$\d+)(?:::text)?\b|(\$\d+)(?:::text)?\s*=\s*{_COLUMN}")
# `a.tenant_id = b.tenant_id`
_OF_A_JOIN = re.compile(rf"{_COLUMN}\s*=\s*{_COLUMN}")


@dataclass(frozen=True)
class NamedQuery:
    """One text of `gen/billing_db`, and where it stands there."""

    module: ModuleType
    constant: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.module.__name__.rpartition('.')[2]}.{self.constant.lower()}"

    @property
    def unfiltered(self) -> str:
        return without_tenant_predicate(self.text)


def named_queries() -> Iterator[NamedQuery]:
    for found in pkgutil.iter_modules(billing_db.__path__, "billing_db."):
        module = importlib.import_module(found.name)
        for constant, text in vars(module).items():
            if isinstance(text, str) and text.startswith(_HEAD):
                yield NamedQuery(module, constant, text)


def without_tenant_predicate(text: str) -> str:
    """The query with every comparison of a tenant's id taken out, with the caller's and between tables."""
    if tenants := _TENANTS.search(text):
        own = r"\bt\.id" if tenants[1] else r"(?<![\w.])id"
        text = re.sub(rf"{own}\b(?=\s*=\s*\$)|(?<=tenant_id = ){own}\b", "tenant_id", text)
    text = _OF_THE_CALLER.sub(lambda found: f"{found[1] or found[2]}::text IS NOT NULL", text)
    return _OF_A_JOIN.sub("true", text)
