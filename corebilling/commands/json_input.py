"""JSON given to a command with --data."""

import json
import sys
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from corebilling.commands.connection import failure

_TOO_DEEP = "The data is nested too deeply."


def read_json(data: str) -> Any:
    """What the text says, or standard input for @.

    Raises:
        typer.Exit: It is no JSON, or none that a request can hold; which it is has been printed.
    """
    try:
        parsed = json.loads(sys.stdin.read() if data == "@" else data)
        # JSON can spell half of a character, which no message takes and no terminal shows.
        json.dumps(parsed, ensure_ascii=False).encode()
    except RecursionError:
        raise failure(_TOO_DEEP) from None
    except UnicodeEncodeError:
        raise failure("The data has half of a character, as \\ud800 is one.") from None
    except ValueError as error:
        raise failure(f"The data is not JSON: {error}.") from None
    return parsed


def read_struct(data: str) -> Struct:
    """The same of an object, as events hold it.

    Raises:
        typer.Exit: It is none.
    """
    parsed = read_json(data)
    if not isinstance(parsed, dict):
        raise failure("The data is not a JSON object.")
    try:
        # To bytes and back: that is where the depth is limited.
        return Struct.FromString(json_format.ParseDict(parsed, Struct()).SerializeToString())
    except DecodeError:
        raise failure(_TOO_DEEP) from None
    except (json_format.ParseError, OverflowError) as error:
        raise failure(f"No event can hold the data: {error}.") from None
