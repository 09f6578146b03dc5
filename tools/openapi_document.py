"""Write gen/openapi/openapi.yaml and the reference page beside it from the contracts, or check them.

    python tools/openapi_document.py            write them
    python tools/openapi_document.py --check    exit 1 when one is out of date

Comments come from the .proto files; paths, fields and rules from the generated code, so that this runs after
generate.py.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from contract_comments import comments_by_name
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from openapi_operation import answers_with_files, bindings, operation, tag
from openapi_parts import (
    HEADERS,
    INFO,
    PARAMETERS,
    PLAIN_PATHS,
    SHARED_SCHEMAS,
    refusals,
    security_schemes,
)
from openapi_schema import Schema, Schemas
from reference_page import page
from service_modules import services

OUT = Path("gen/openapi")
DOCUMENT = OUT / "openapi.yaml"
PAGE = OUT / "reference.html"
# What makes the folder a package, so that the program finds its files wherever it is installed.
PACKAGE = OUT / "__init__.py"


def document() -> Schema:
    """The whole of it, as Python has JSON."""
    schemas = Schemas(comments_by_name())
    offered = sorted(services(), key=lambda service: str(service.name))
    methods = [method for service in offered for method in service.methods]
    # What is in answers has to be known before requests are described.
    for method in methods:
        if not answers_with_files(method):
            schemas.answer(method.output_type)
    paths = _paths(methods, schemas)
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": "/"}],
        "security": [{"ApiKey": []}, {"Bearer": []}],
        "tags": [*_tags(offered, schemas), {"name": "Server", "description": "The process itself."}],
        "paths": paths,
        "components": {
            "schemas": {**dict(sorted(schemas.components.items())), **SHARED_SCHEMAS},
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "responses": refusals(),
            "securitySchemes": security_schemes(),
        },
    }


def _paths(methods: list[MethodDescriptor], schemas: Schemas) -> Schema:
    paths: dict[str, Schema] = {}
    for method in methods:
        for binding in bindings(method):
            paths.setdefault(binding.path, {})[binding.verb] = operation(binding, schemas)
    # The own paths before those of the systems that this one replaces.
    order = sorted(paths.items(), key=lambda path: (path[0].startswith("/api/"), path[0]))
    return dict(order) | PLAIN_PATHS


def _tags(offered: list[ServiceDescriptor], schemas: Schemas) -> Iterator[Schema]:
    for service in offered:
        said = schemas.comments.get(service.full_name)
        name = tag(service.methods[0])
        yield {"name": name, "description": said} if said else {"name": name}


class _Dumper(yaml.CSafeDumper):  # type: ignore[misc]
    """Without anchors: what is there twice is written twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """Several lines as they are, not with every break doubled."""
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def in_yaml(value: Schema) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return "# Generated from the contracts in proto/ by `make gen`; do not edit.\n" + text


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the OpenAPI document from the contracts.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args().check
    built = document()
    wanted = {DOCUMENT: in_yaml(built), PAGE: page(built), PACKAGE: ""}
    changed = [
        path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if check and changed:
        sys.exit(f"out of date, run `make gen`: {', '.join(map(str, changed))}")
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[path], encoding="utf-8")


if __name__ == "__main__":
    main()
