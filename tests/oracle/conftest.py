"""Says how far the very many years are whenever some of them are through, whichever process lived them."""

import os
import sys
import time

import pytest

BEGAN = time.monotonic()
HOW_MANY = "customers"
"""The property of a test that says how many customers' years it compared."""


class Progress:
    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        count = dict(report.user_properties).get(HOW_MANY)
        if report.when == "call" and isinstance(count, int):
            self.done += count
            print(f"\n{self.of(report)}", file=sys.stderr, flush=True)

    def of(self, report: pytest.TestReport) -> str:
        a_second = self.done / (time.monotonic() - BEGAN)
        minutes = (self.total - self.done) / a_second / 60
        came_out = "agree"
        if report.failed:
            came_out = str(getattr(report.longrepr, "reprcrash", None) or report.longrepr).splitlines()[0]
        return (
            f"{self.done} of {self.total} years, {a_second:.1f}/s, {minutes:.0f} minutes left; "
            f"{report.nodeid.rpartition('::')[2]}: {came_out}"
        )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # Of all processes, the one that the others report to.
        config.pluginmanager.register(Progress(int(os.environ.get("CUSTOMERS", "200"))))
