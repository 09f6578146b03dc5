"""Examples of requests: every field that is needed, and those that tell what it is about."""

from collections.abc import Mapping
from typing import Any

from openapi_schema import Schema

# By the field's name, or the end of it.
_TEXTS: Mapping[str, str] = {
    "name": "Acme",
    "external_id": "4711",
    "description": "As agreed",
    "currency": "EUR",
    "email": "billing@example.com",
    "url": "https://example.com/hooks",
    "timezone": "Europe/Berlin",
    "country": "DE",
    "code": "api-calls",
    "slug": "acme",
    "quantity": "3",
    "unit_amount": "0.05",
    "amount": "19.99",
    "percentage": "19",
    "subject": "order.shipped",
    "reason": "as agreed with the customer",
}
_PREFIXES: Mapping[str, str] = {
    "billing_cycle": "cyc",
    "customer": "cus",
    "invoice": "inv",
    "meter": "met",
    "plan": "pln",
    "price": "prc",
    "product": "prd",
    "subscription": "sub",
}
_TELLING = {
    *("amount_minor", "code", "currency", "customer_id", "description", "email", "external_id", "meter_id"),
    *("name", "occurred_at", "plan_id", "quantity", "reason", "role", "unit_amount", "value"),
}
_TIME = "2026-03-01T00:00:00Z"
_END = "2026-04-01T00:00:00Z"


def example(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """Of a small request that fits the schema."""
    return _value("", schema, components)


def _value(name: str, schema: Schema, components: Mapping[str, Schema]) -> Any:
    whole = {**_resolved(schema, components), **schema}
    if "enum" in whole:
        return _choice(whole)
    match whole.get("type"):
        case "object":
            shown = _TELLING.union(whole.get("required", ()))
            return {
                field: _value(field, part, components)
                for field, part in whole.get("properties", {}).items()
                if field in shown
            }
        case "array":
            return [_value(name.removesuffix("s"), whole["items"], components)] * max(
                1, whole.get("minItems", 0)
            )
        case "integer":
            return max(1, whole.get("minimum", 1))
        case "boolean":
            return True
        case "number":
            return 1.5
        case _:
            return _text(name, whole)


def _resolved(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    if "$ref" not in schema:
        return {}
    return components[schema["$ref"].rpartition("/")[2]]


def _choice(schema: Schema) -> str:
    refused = schema.get("not", {}).get("enum", [])
    names: list[str] = [name for name in schema["enum"] if name not in refused]
    return next((name for name in names if not name.endswith("_UNSPECIFIED")), names[0])


def text_of(name: str, schema: Schema) -> str:
    """Of a parameter."""
    return str(_value(name, schema, {})) if "$ref" not in schema else name.upper()


def _text(name: str, schema: Schema) -> str:
    if schema.get("format") == "date-time":
        return _END if name == "end" else _TIME
    if schema.get("format") == "int64":
        return "1990"
    if name in _TEXTS:
        return _TEXTS[name]
    if name.endswith("_id"):
        resource = name.removesuffix("_id")
        return f"{_PREFIXES.get(resource, resource)}_0mhc2y9kq5v1t"
    if name.endswith("_mask"):
        return "name"
    found = next((text for end, text in _TEXTS.items() if name.endswith(f"_{end}")), None)
    return found if found is not None else name.replace("_", " ")
