"""Rules that requests keep, each about one field."""

from collections.abc import Iterable

from corebilling.errors import InvalidArgument

Rule = tuple[str, str, bool]
"""The field that a rule is about, what it requires, and whether that is so."""


def demand(reason: str, complaint: str, rules: Iterable[Rule], *, inside: str = "") -> None:
    """Refuses what breaks a rule, naming the first. `inside`: what the fields' names begin with.

    Raises:
        InvalidArgument: The reason, with the field that is wrong and what it must be.
    """
    for name, requirement, holds in rules:
        field = f"{inside}{name}"
        if not holds:
            raise InvalidArgument(
                reason,
                f"{complaint}: {requirement}.",
                {"field": field, "detail": requirement},
                violations=((field, requirement),),
            )
