"""The oracle is of use only as long as it shares nothing with what it judges."""

import ast
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
CALLERS = {"engine", "shop", "acting"}
DOORS = {
    "conftest.py",
    *(f"{name}.py" for name in CALLERS),
    *(file.name for file in FOLDER.glob("test_*.py")),
}
"""What calls the platform, or compares; all else works out what is right."""


def test_the_oracle_knows_the_standard_library_and_itself_alone():
    foreign = [
        f"{file.name} imports {name}"
        for file in sorted(FOLDER.glob("*.py"))
        if file.name not in DOORS
        for name in imported(file)
        if name.split(".")[0] not in sys.stdlib_module_names
        and (not name.startswith("tests.oracle") or name.split(".")[-1] in CALLERS)
    ]
    assert foreign == []


def imported(file: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names
