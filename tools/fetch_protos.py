"""Fetch the third-party .proto files that ours import, into build/proto (git-ignored).

Only the source distribution of protovalidate's 1.x line carries validate.proto; the 2.x runtime, which
the program uses, carries the same contract compiled. pip downloads it, so mirrors and proxies configured
for pip apply here too. The HTTP annotations lie beside their compiled form, in the installed package.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from google.api import annotations_pb2

SOURCE = "protovalidate==1.2.0"
MEMBER = "protovalidate-1.2.0/upstream/proto/buf/validate/validate.proto"
SHA256 = "817951eab518442950f1982be24b2c3154b214b40e42f49b915cbf5181e6ee80"
VALIDATE = Path("build/proto/buf/validate/validate.proto")
ANNOTATIONS = Path("build/proto/google/api")


def copy_annotations(folder: Path) -> None:
    """Write google/api's annotations.proto and http.proto to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("annotations.proto", "http.proto"):
        shutil.copyfile(Path(annotations_pb2.__file__).with_name(name), folder / name)


def fetch_validate(target: Path) -> None:
    """Write validate.proto to `target`; exit with a message when its content is not the expected one."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        only_source = ["--no-deps", "--no-binary", "protovalidate", "--dest", folder]
        subprocess.run([*pip, *only_source, SOURCE], check=True)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as source:
            member = source.extractfile(MEMBER)
            content = member.read() if member else b""
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"{MEMBER} in {SOURCE} differs from the one this project was built with; nothing written")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


if __name__ == "__main__":
    fetch_validate(VALIDATE)
    copy_annotations(ANNOTATIONS)
