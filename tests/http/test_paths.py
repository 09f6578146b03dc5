"""Paths lead to the template that they were made from, and to no other."""

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corebilling.http.path import Collision, Paths, PathUnknown, VerbNotAllowed

NAMES = ("customers", "invoices", "v1", "events", "watch")
SEGMENT = st.sampled_from((*NAMES, "{a}", "{b}", "{c}"))
VALUE = st.text(min_size=1, max_size=8)


def plain(segments: list[str]) -> tuple[str, ...]:
    """What makes templates the same: the names of variables do not matter."""
    return tuple("{}" if segment.startswith("{") else segment for segment in segments)


@st.composite
def templates(draw: st.DrawFn) -> list[list[str]]:
    found = draw(st.lists(st.lists(SEGMENT, min_size=1, max_size=5), min_size=1, max_size=12))
    named = [[f"{{v{i}}}" if s.startswith("{") else s for i, s in enumerate(one)] for one in found]
    return list({plain(one): one for one in named}.values())


def paths_of(several: list[list[str]]) -> Paths[tuple[str, ...]]:
    paths: Paths[tuple[str, ...]] = Paths()
    for one in several:
        paths.add("GET", "/" + "/".join(one), plain(one))
    return paths


@given(templates(), st.data())
def test_a_path_leads_back_to_a_template_that_fits_with_the_values_it_holds(
    several: list[list[str]], data: st.DataObject
) -> None:
    paths = paths_of(several)
    one = data.draw(st.sampled_from(several))
    sent = [data.draw(VALUE) if segment.startswith("{") else segment for segment in one]
    found, values = paths.find("GET", "/" + "/".join(quote(segment, safe="") for segment in sent))
    assert len(found) == len(sent)
    fixed = [segment for segment, kind in zip(sent, found, strict=True) if kind == "{}"]
    assert list(values.values()) == fixed
    assert all(kind in ("{}", segment) for segment, kind in zip(sent, found, strict=True))
    # No other template that fits has a plain segment where this one has its first variable.
    assert not any(
        len(other) == len(sent)
        and all(kind in ("{}", segment) for segment, kind in zip(sent, plain(other), strict=True))
        and [kind == "{}" for kind in plain(other)] < [kind == "{}" for kind in found]
        for other in several
    )


@given(templates(), st.lists(VALUE, min_size=1, max_size=5))
def test_a_path_that_fits_no_template_is_unknown(several: list[list[str]], sent: list[str]) -> None:
    def fits(one: list[str]) -> bool:
        return len(one) == len(sent) and all(
            kind in ("{}", segment) for segment, kind in zip(sent, plain(one), strict=True)
        )

    assume(not any(map(fits, several)))
    with pytest.raises(PathUnknown):
        paths_of(several).find("GET", "/" + "/".join(quote(segment, safe="") for segment in sent))


@given(st.text(max_size=30))
def test_any_text_is_a_path_that_is_known_or_not(path: str) -> None:
    paths = paths_of([["v1", "{v1}"], ["{v0}"]])
    with contextlib.suppress(PathUnknown):
        paths.find("GET", path)


def test_a_verb_that_is_not_taken_names_those_that_are() -> None:
    paths: Paths[str] = Paths()
    paths.add("POST", "/v1/customers/register", "register")
    paths.add("GET", "/v1/customers/{id}", "get")
    paths.add("PATCH", "/v1/customers/{id}", "update")
    with pytest.raises(VerbNotAllowed) as caught:
        paths.find("DELETE", "/v1/customers/register")
    assert caught.value.allowed == {"POST", "GET", "PATCH"}


def test_a_plain_segment_hides_no_variable_whose_verb_it_lacks() -> None:
    paths: Paths[str] = Paths()
    paths.add("POST", "/v1/customers/register", "register")
    paths.add("GET", "/v1/customers/{id}", "get")
    assert paths.find("POST", "/v1/customers/register") == ("register", {})
    assert paths.find("GET", "/v1/customers/register") == ("get", {"id": "register"})


def test_an_empty_segment_is_no_value() -> None:
    with pytest.raises(PathUnknown):
        paths_of([["v1", "{v1}"]]).find("GET", "/v1/")


def test_bytes_that_are_no_text_are_no_path() -> None:
    with pytest.raises(PathUnknown):
        paths_of([["v1", "{v1}"]]).find("GET", "/v1/%ff")


def test_two_templates_for_the_same_paths_collide() -> None:
    paths: Paths[str] = Paths()
    paths.add("GET", "/v1/a/{x}", "one")
    with pytest.raises(Collision):
        paths.add("GET", "/v1/a/{y}", "other")
