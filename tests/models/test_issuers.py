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


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"algorithm": "RS257"}, "staff: algorithm must be one of HS256, HS384, "),
        ({"audience": []}, "staff: audience must be a text, or a list of texts with at least one"),
        ({"roles": ["admin"]}, "staff: roles must be an object of texts, as in "),
        ({"roles": {"a": "boss"}}, "staff: roles has no role boss; there are viewer, "),
        ({"issuer": ""}, "entry 1: issuer must be a text of 1 to 500 characters"),
        ({"jwks": "x"}, "staff: jwks is no field of an issuer; there are issuer, audience, "),
        ({"jwks_url": "http://staff.example/"}, "staff: jwks_url must be https "),
        ({"jwks_url": None}, "staff: RS256 needs jwks_file or jwks_url, and nothing else"),
        (
            {"algorithm": "HS256", "jwks_url": None, "secret": "hunter2"},
            "staff: secret must have at least 32 bytes",
        ),
    ],
)
def test_problems_name_file_issuer_and_field(tmp_path: Path, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(IssuersInvalid) as refusal:
        read(tmp_path, **fields)
    assert str(refusal.value).startswith(f"{tmp_path / 'issuers.json'}, {problem}")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "[]", '{"issuers": 1}', '{"issuers": [1]}'])
def test_what_is_no_list_of_issuers_is_told_so(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "issuers.json").write_text(text)
    with pytest.raises(IssuersInvalid, match=r"must be (JSON as in|a JSON object)"):
        read_issuers(file, (), PERMISSIONS)
