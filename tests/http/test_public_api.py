"""docs/public-api.md: what it prints is what curl is answered."""

import shutil
from pathlib import Path

import pytest

from tests.support.platform import Platform
from tests.support.transcript import Transcript, steps_of

GUIDE = Path(__file__).parents[2] / "docs" / "public-api.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
async def test_curl_is_answered_as_the_guide_prints(platform: Platform, tmp_path: Path) -> None:
    address = {"API": platform.app.http_address, "OPERATOR_KEY": platform.operator_key}
    transcript = Transcript(address, tmp_path)
    steps = list(steps_of(GUIDE))
    for step in steps:
        await transcript.run(step)
    assert (tmp_path / "INV-2026-000001.pdf").read_bytes()[:5] == b"%PDF-"
    # All three ways of naming things are shown.
    for path in ("$API/v1/customers", "$API/api/v1/billing/organizations", "$API/api/v1/consumers/register"):
        assert any(path in step.command for step in steps), path
