import json
import subprocess
import sys

import pytest

PROGRAM = """
import sys, structlog
from corebilling.telemetry.logs import configure_logs
configure_logs(sys.argv[1], "info")
log = structlog.get_logger()
def fail(secret):
    raise ValueError("broken")
try:
    fail("hunter" + "2")
except ValueError as error:
    log.error("call_faulted", tenant_id="ten_a", exc_info=error)
log.debug("unheard")
"""


def logged(form: str) -> str:
    """What a program of its own prints: the configuration is one per process."""
    command = [sys.executable, "-c", PROGRAM, form]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_json_log_is_one_object_per_line_at_its_level_and_above() -> None:
    (line,) = logged("json").splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["tenant_id"]) == ("call_faulted", "error", "ten_a")
    assert entry["exception"][0]["exc_value"] == "broken"


@pytest.mark.parametrize("form", ["json", "text"])
def test_traceback_shows_no_local_variables(form: str) -> None:
    text = logged(form)
    assert "broken" in text
    assert "hunter2" not in text
