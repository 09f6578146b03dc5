"""Transcripts in documents: commands that are run, and whose answers are compared with those printed.

In a block marked `console`, a line that starts with `$ ` is a command, which goes on after a backslash and
within quotes; what follows is its answer. Ids, keys and times differ each time: a printed id stands for the
one that really came in its place, in answers and in later commands. In printed JSON, the member `"…"` stands
for members that are not printed.
"""

import asyncio
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"([A-Z]+)=(\S+)")
_VARYING = re.compile(
    r"\b[a-z]{2,4}_[0-9a-z]{20,}(?:_[0-9a-z]{60})?\b"  # ids and keys
    r"|\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"  # times
)
_REST = "…"
_PATIENCE_S = 60


@dataclass(frozen=True)
class Step:
    """A command as it is printed, and its answer."""

    command: str
    answer: str


@dataclass
class Transcript:
    """What was learned on the way: the real ids by the printed ones, and the variables that were set."""

    variables: Mapping[str, str]
    folder: Path
    _real: dict[str, str] = field(default_factory=dict)

    async def run(self, step: Step) -> None:
        """Fails the test when the answer is another one."""
        command = _VARYING.sub(lambda found: self._real.get(found[0], found[0]), step.command)
        if assigned := _ASSIGNMENT.fullmatch(command):
            self.variables = {**self.variables, assigned[1]: assigned[2]}
            return
        self._compare(step, await self._said(command))

    async def _said(self, command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", command, cwd=self.folder, stdout=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], **self.variables},
        )  # fmt: skip
        async with asyncio.timeout(_PATIENCE_S):
            said, _ = await process.communicate()
        return said.decode()

    def _compare(self, step: Step, said: str) -> None:
        printed, real = _read(step.answer), _read(said)
        assert self._masked(_without_rest(printed, real)) == self._masked(real), step.command
        for one, other in zip(_varying(_without_rest(printed, real)), _varying(real), strict=True):
            assert self._real.setdefault(one, other) == other or one[0].isdigit(), step.command

    @staticmethod
    def _masked(parts: list[Any]) -> list[Any]:
        return [json.loads(_VARYING.sub("*", json.dumps(part))) for part in parts]


def steps_of(document: Path) -> Iterator[Step]:
    for block in _BLOCK.findall(document.read_text("utf-8")):
        for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = text.splitlines()
            end = next(number for number in range(1, len(lines) + 1) if _is_whole("\n".join(lines[:number])))
            yield Step("\n".join(lines[:end]), "\n".join(lines[end:]))


def _is_whole(command: str) -> bool:
    return not command.endswith("\\") and command.count("'") % 2 == 0


def _read(answer: str) -> list[Any]:
    """JSON values, and lines of other text between them."""
    parts: list[Any] = []
    rest = answer.strip()
    while rest:
        if rest[0] in "{[":
            value, end = json.JSONDecoder().raw_decode(rest)
        else:
            value = rest.partition("\n")[0]
            end = len(value)
        parts.append(value)
        rest = rest[end:].lstrip()
    return parts


def _without_rest(printed: Any, real: Any) -> Any:
    """What is printed, with what it leaves out as it really was."""
    if isinstance(printed, list) and isinstance(real, list) and len(printed) == len(real):
        return [_without_rest(*pair) for pair in zip(printed, real, strict=True)]
    if isinstance(printed, dict) and isinstance(real, dict):
        filled = {
            name: _without_rest(value, real.get(name)) for name, value in printed.items() if name != _REST
        }
        left_out = (
            {name: value for name, value in real.items() if name not in filled} if _REST in printed else {}
        )
        merged = {**filled, **left_out}
        return {name: merged[name] for name in [*real, *merged] if name in merged}
    return printed


def _varying(parts: list[Any]) -> list[str]:
    return _VARYING.findall(json.dumps(parts))
