"""Rates, terms and exemptions: what is refused, what is announced."""

import pytest

from tests.support.app import refused
from tests.support.money import set_terms
from tests.support.platform import Platform, platform

__all__ = ["platform"]


@pytest.mark.parametrize("name", ["behavior", "rounding", "credit_application"])
async def test_terms_that_no_one_knows_are_refused_by_the_fields_name(platform: Platform, name: str) -> None:
    refusal = await refused(set_terms(platform, **{name: 99}))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
    assert refusal.fields == (f"terms.{name}",)
