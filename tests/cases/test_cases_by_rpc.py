"""Cases about invoices once more, through the RPCs; those that cannot be said there are named with why."""

from pathlib import Path

import pytest

from corebilling.values.ids import new_id
from tests.cases import invoices
from tests.cases.by_rpc import CANNOT, OPERATIONS, OTHERS
from tests.cases.case import Case, difference, load
from tests.support.platform import Platform

CASES = [case for file in sorted(Path(__file__).parent.glob("*.json")) for case in load(file)]


WITHOUT_INVOICE = {
    *("to_minor", "from_minor", "round_amount", "allocate", "spread"),
    *("sort_grants", "burn_grants"),
}
"""Arithmetic alone, and grants of units."""


def cases_of(operation: str) -> list[Case]:
    return [case for case in CASES if case.operation == operation]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_the_figures_come_out_of_the_rpcs(platform: Platform, operation: str):
    wrong = {}
    for case in cases_of(operation):
        if case.id in CANNOT:
            continue
        slug = new_id("t").replace("_", "-")
        platform.tenant_id, platform.tenant_key = await platform.new_tenant(slug)
        found = difference(case.expect, await OPERATIONS[operation](platform, case))
        if found:
            wrong[case.id] = found
    assert wrong == {}


def test_what_cannot_be_said_in_rpcs_is_named_for_a_case_that_exists():
    known = {case.id for case in CASES}
    assert set(CANNOT) <= known
    assert all(any(case.id not in CANNOT for case in cases_of(operation)) for operation in OPERATIONS)


def test_every_operation_about_invoices_is_run_or_says_why_not():
    assert OTHERS.keys() | OPERATIONS.keys() >= set(invoices.OPERATIONS) - WITHOUT_INVOICE
    assert not OTHERS.keys() & OPERATIONS.keys()
