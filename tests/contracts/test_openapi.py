"""gen/openapi/openapi.yaml is OpenAPI 3.1 and describes every path; the page beside it shows all of it."""

import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor import MethodDescriptor
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31

from corebilling.domains.access.model import PERMISSIONS, Role
from tests.contracts.test_http_rules import METHODS, address, rules

DOCUMENT: dict[str, Any] = yaml.load((files("openapi") / "openapi.yaml").read_bytes(), yaml.CSafeLoader)
PAGE = (files("openapi") / "reference.html").read_text(encoding="utf-8")
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
VERBS = {"get", "put", "post", "delete", "patch"}
OPERATIONS = [
    (verb, path, operation)
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
    if verb in VERBS
]


def references(value: Any) -> set[str]:
    if isinstance(value, list):
        return set[str]().union(*map(references, value))
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(references, value.values()))
    return set()


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Of a schema that refers to others of the document."""
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def test_it_is_openapi_3_1() -> None:
    errors = [error.message for error in Draft202012Validator(OPENAPI_31).iter_errors(DOCUMENT)]
    assert errors == []


def test_each_schema_is_json_schema() -> None:
    for schema in SCHEMAS.values():
        Draft202012Validator.check_schema(schema)


def test_every_reference_leads_somewhere_and_every_part_is_used() -> None:
    parts = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "parameters", "headers", "responses")
        for name in DOCUMENT["components"][kind]
    }
    assert references(DOCUMENT) == parts


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name)
def test_every_binding_of_a_method_is_described(method: MethodDescriptor) -> None:
    for rule in rules(method):
        verb, path = address(rule)
        operation = DOCUMENT["paths"][path][verb]
        assert operation["x-grpc-method"] == f"{method.containing_service.full_name}/{method.name}"
        assert operation["x-permission"] in PERMISSIONS[Role.PLATFORM_ADMIN]
        described = {
            parameter["name"] for parameter in operation["parameters"] if parameter.get("in") == "path"
        }
        assert described == set(re.findall(r"\{(\w+)\}", path))
        assert ("requestBody" in operation) == bool(rule.body)


def test_nothing_is_described_that_is_no_method() -> None:
    bound = {address(rule) for method in METHODS for rule in rules(method)}
    described = {(verb, path) for verb, path, operation in OPERATIONS if "x-grpc-method" in operation}
    assert described == bound


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+(_[A-Z][a-z]+)?", name) for name in names)


def test_examples_fit_their_schemas() -> None:
    examples = [
        (operation["operationId"], media["schema"], media["example"])
        for _, _, operation in OPERATIONS
        for media in operation.get("requestBody", {}).get("content", {}).values()
        if "example" in media
    ]
    assert len(examples) > 30
    wrong = {
        name: [error.message for error in validator(schema).iter_errors(shown)]
        for name, schema, shown in examples
    }
    assert {name: errors for name, errors in wrong.items() if errors} == {}


class Page(HTMLParser):
    """The page's ids, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attributes}
        self.ids += [named["id"]] if "id" in named else []
        self.links |= {named[name] for name in ("href", "src") if name in named}
        self.inline += [name for name in named if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in named) else []


@pytest.fixture(scope="module")
def shown() -> Page:
    shown = Page()
    shown.feed(PAGE)
    return shown


def test_the_page_shows_every_method_and_path(shown: Page) -> None:
    assert {method.name for method in METHODS} <= set(shown.ids)
    assert [path for path in DOCUMENT["paths"] if f">{path}</code>" not in PAGE] == []
    assert set(SCHEMAS) <= set(shown.ids)


def test_links_of_the_page_lead_to_its_parts_and_to_the_same_server(shown: Page) -> None:
    assert len(set(shown.ids)) == len(shown.ids)
    own = {f"#{name}" for name in shown.ids}
    assert shown.links - own == {"docs/reference.css", "docs/reference.js", "openapi.yaml", "data:,"}


def test_nothing_of_the_page_is_against_its_content_security_policy(shown: Page) -> None:
    assert shown.inline == []
