"""Which text fields of requests name something of a tenant, and what."""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.support.requests.filling import Path, texts_within

# Beyond `<kind>_id` and `<kind>_ids`.
_KINDS = {
    "code": "code",
    "corrected_price_id": "price",
    "coupon_code": "code",
    "feature_code": "code",
    "idempotency_key": "usage_key",
    "meter_code": "code",
    "page_token": "page_token",
    "resource_id": "customer",
    "resume_token": "resume_token",
    "source_id": "invoice",
    "subject_id": "plan",
}
_PLAIN = {"tax_id", "tenant_id"}


def kind_of(field: FieldDescriptor) -> str | None:
    """What the field's text names; None when it is just text."""
    if field.name in _PLAIN:
        return None
    if field.name in _KINDS:
        return _KINDS[field.name]
    stem = field.name.removesuffix("s")
    return stem.removesuffix("_id") if stem.endswith("_id") else None


def references(descriptor: Descriptor) -> Iterator[tuple[Path, str]]:
    """Every field of a request that names something, and what kind of thing."""
    for path in texts_within(descriptor):
        kind = kind_of(path[-1])
        # The id of a request within a request (of what is only supposed) counts for nothing.
        if kind is not None and not (kind == "request" and len(path) > 1):
            yield path, kind
