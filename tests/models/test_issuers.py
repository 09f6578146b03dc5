"""Entries of issuers: what must be said, and what may not."""

import json
from pathlib import Path
from typing import Any

import pytest

from corebilling.domains.access.model import PERMISSIONS
from corebilling.rpc.issuers import Issuer, IssuersInvalid, read_issuers
from corebilling.values.ids import PLATFORM_TENANT


def read(folder: Path, **fields: Any) -> Issuer:
    file = folder / "issuers.json"
    entry = {"issuer": "staff", "audience": "a", "algorithm": "RS256", "jwks_url": "https://staff.example/"}
    file.write_text(json.dumps({"issuers": [{**entry, **fields}]}))
    (issuer,) = read_issuers(file, (), PERMISSIONS)
    return issuer


def test_issuer_of_the_platform_says_who_its_people_are(tmp_path: Path) -> None:
    with pytest.raises(IssuersInvalid, match="needs roles, as in"):
        read(tmp_path, tenant_id=PLATFORM_TENANT)
    assert read(tmp_path, tenant_id="ten_other").roles["admin"] == "billing_admin"


@pytest.mark.parametrize("role", ["consumer", "creator"])
def test_platform_has_no_accounts(tmp_path: Path, role: str) -> None:
    with pytest.raises(IssuersInvalid, match=f"take {role} out of the roles"):
        read(tmp_path, tenant_id=PLATFORM_TENANT, roles={"staff": "platform_admin", "other": role})
    staff = {"staff": "platform_admin"}
    assert read(tmp_path, tenant_id=PLATFORM_TENANT, roles=staff).roles == staff
