"""Numeric cases: given figures, and what must come out of them under the policies that a case names.

`expect` lists what must hold; a calculation may return more. Decimals are strings, `_minor` money integers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from corebilling.values.money import Rounding


@dataclass(frozen=True, slots=True)
class Case:
    id: str
    title: str
    given: Mapping[str, Any]
    expect: Mapping[str, Any]
    policy: Mapping[str, Any]

    @property
    def operation(self) -> str:
        return str(self.given["operation"])


def load(path: Path) -> list[Case]:
    return [
        Case(row["id"], row["title"], row["given"], row["expect"], row.get("policy") or {})
        for row in json.loads(path.read_text())
    ]


def rounding_named(name: str) -> Rounding:
    """Some call them otherwise."""
    return Rounding(
        {"floor": "down", "truncate": "down", "ceil": "up", "bankers": "half_even"}.get(name, name)
    )


def difference(expected: Any, actual: Any, at: str = "") -> str:
    """Where they differ; '' when all that is expected is there."""
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping):
            return f"{at}: {actual!r} is no object"
        if missing := expected.keys() - actual.keys():
            return f"{at}: lacks {sorted(missing)}"
        return _first(difference(expected[key], actual[key], f"{at}.{key}") for key in expected)
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        if not isinstance(actual, Sequence) or len(actual) != len(expected):
            return f"{at}: {actual!r}, expected {expected!r}"
        pairs = enumerate(zip(expected, actual, strict=True))
        return _first(difference(one, other, f"{at}[{place}]") for place, (one, other) in pairs)
    return "" if _same(expected, actual) else f"{at}: {actual}, expected {expected}"


def _first(differences: Any) -> str:
    return next(filter(None, differences), "")


def _same(expected: Any, actual: Any) -> bool:
    if expected is None or actual is None or isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(actual, int | Decimal | Fraction):
        return Fraction(expected) == Fraction(actual)
    if isinstance(actual, datetime):
        return datetime.fromisoformat(expected) == actual
    if isinstance(actual, date):
        return date.fromisoformat(expected) == actual
    return bool(expected == actual)
