"""Filters by subject: one subject, all that begin alike (`invoice.*`), or any (`*`)."""

ANY_SUBJECT = "*"


def matches(filter_: str, subject: str) -> bool:
    return filter_ in (ANY_SUBJECT, subject) or (filter_.endswith(".*") and subject.startswith(filter_[:-1]))


def exact_and_prefix(filter_: str) -> tuple[str, str]:
    """The subject, or the beginning, that a query asks for: '' for the other, both '' for any subject."""
    if filter_ == ANY_SUBJECT:
        return "", ""
    return ("", filter_[:-1]) if filter_.endswith(".*") else (filter_, "")
