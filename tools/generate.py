"""Generate gen/billing, gen/billing_sdk and gen/buf from proto/, or check that they are up to date.

    python tools/generate.py            write what changed, delete what no longer has a source
    python tools/generate.py --check    write nothing; exit 1 and name the files that differ

gen/billing_db comes from sql/ by sqlc, which has its own `diff`.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

GEN = Path("gen")
PACKAGES = ("billing", "billing_sdk", "buf")

# Messages with rules import buf.validate. Its descriptor comes from the installed protovalidate, so that
# the rules we compile and the rules it enforces are one version.
VALIDATE_PB2 = '''"""Descriptor of buf/validate/validate.proto, as the installed protovalidate carries it."""

from google.protobuf import (
    descriptor_pb2,  # noqa: F401 (must be loaded before the files that import them)
    descriptor_pool,
    duration_pb2,  # noqa: F401
    field_mask_pb2,  # noqa: F401
    timestamp_pb2,  # noqa: F401
)
from protovalidate import ViolationPb

DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(ViolationPb.desc().file.proto.to_binary())
'''


def generate(root: Path) -> dict[Path, bytes]:
    """Run buf in `root` and return the generated files by their path below gen/."""
    command = ["buf", "generate", "proto", "--output", str(root)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    out = root / GEN
    files = {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    files = {path: content for path, content in files.items() if not is_empty_stub(path, files)}
    for folder in {parent for path in files for parent in path.parents if parent != Path()}:
        files.setdefault(folder / "__init__.py", b"")
    for package in ("billing", "billing_sdk"):
        files[Path(package, "py.typed")] = b""
    # Of two plugins that both write the package's own file, buf keeps neither.
    files[Path("billing_sdk/__init__.py")] = files.pop(Path("billing_sdk/package.py"))
    files[Path("buf/validate/validate_pb2.py")] = VALIDATE_PB2.encode()
    return files


def is_empty_stub(path: Path, files: dict[Path, bytes]) -> bool:
    """Both stub generators write a file for each proto, services or none; keep those with services."""
    stem, mark, _ = path.name.partition("_pb2_grpc.")
    return bool(mark) and b"\nclass " not in files[path.with_name(f"{stem}_pb2_grpc.py")]


def present() -> dict[Path, bytes]:
    """The files that stand in gen/ now, compiled ones aside."""
    paths = (path for package in PACKAGES for path in (GEN / package).rglob("*"))
    return {
        path.relative_to(GEN): path.read_bytes()
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }


def write(wanted: dict[Path, bytes], found: dict[Path, bytes]) -> None:
    """Touch only what differs: running programs and mypy's cache keep what did not change."""
    for path, content in wanted.items():
        if found.get(path) != content:
            (GEN / path).parent.mkdir(parents=True, exist_ok=True)
            (GEN / path).write_bytes(content)
    for path in found.keys() - wanted.keys():
        (GEN / path).unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description="Generate Python code from proto/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when gen/ is out of date")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        wanted = generate(Path(folder))
    found = present()
    differing = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    if not check:
        write(wanted, found)
        print(f"gen/: {len(wanted)} files from proto/, {len(differing)} changed")
    elif differing:
        sys.exit(
            "\n".join(["gen/ is out of date, run `make gen`:", *(f"  gen/{path}" for path in differing)])
        )


if __name__ == "__main__":
    main()
