"""Every case of the files here, and of the file that CASES names: `CASES=more.json pytest tests/cases`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cases import invoices, periods, pricing
from tests.cases.case import Case, difference, load

Calculation = Callable[[Case], Mapping[str, Any]]

OPERATIONS: Mapping[str, Calculation] = pricing.OPERATIONS | periods.OPERATIONS | invoices.OPERATIONS
FILES = [*sorted(Path(__file__).parent.glob("*.json")), *map(Path, os.environ.get("CASES", "").split())]


@pytest.mark.parametrize("case", [case for file in FILES for case in load(file)], ids=lambda case: case.id)
def test_the_figures_come_out(case: Case):
    calculation = OPERATIONS.get(case.operation)
    if calculation is None:
        pytest.skip(f"nothing calculates {case.operation} yet")
    assert difference(case.expect, calculation(case)) == ""
