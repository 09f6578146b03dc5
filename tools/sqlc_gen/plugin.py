"""One run of the plugin: request in, files out, or every problem at once."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TextIO

from sqlc_gen import package, query_module
from sqlc_gen.query import Query, checked_query
from sqlc_gen.schema import QueryError, Schema


def main(stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Answer one CodeGenRequest; on problems list them all on `stderr` and return 1."""
    request = json.load(stdin)
    problems: list[str] = []
    files = generate(request, problems)
    if problems:
        stderr.write("".join(f"\n{problem}" for problem in problems) + "\n")
        return 1
    encoded = {name: base64.b64encode(text.encode()).decode() for name, text in files.items()}
    json.dump({"files": [{"name": name, "contents": encoded[name]} for name in sorted(encoded)]}, stdout)
    return 0


def generate(request: dict[str, object], problems: list[str]) -> dict[str, str]:
    """File name -> text for one request; what could not be generated is described in `problems`."""
    schema = Schema.read(request["catalog"])
    modules: dict[str, list[Query]] = {}
    for raw in request["queries"]:  # type: ignore[attr-defined]
        try:
            query = checked_query(raw, schema)
        except QueryError as problem:
            problems.append(f"{raw['filename']}: {raw['name']}: {problem}")
        else:
            modules.setdefault(query.source, []).append(query)
    files = {
        f"{Path(source).stem}.py": query_module.render(source, queries, schema)
        for source, queries in modules.items()
    }
    every = [query for queries in modules.values() for query in queries]
    return files | package.render(every, schema)
