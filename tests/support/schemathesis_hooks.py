"""What schemathesis has to know about streams: a file that it loads in its own process."""

import json
from typing import Any

import schemathesis

LINES = "application/x-ndjson"


@schemathesis.serializer(LINES)
def one_line(_: Any, value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


@schemathesis.deserializer(LINES)
def last_element(_: Any, response: Any) -> Any:
    """The schema is that of each element; how the stream ended is in the last."""
    lines = [line for line in response.content.splitlines() if line]
    return json.loads(lines[-1]) if lines else {}
