# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builds an archive on the control node with all wheels that the server needs on a node.

Prints JSON: the archive's path, its name, and whether it was built by this run. The name contains a digest of the
server's source, so that a new version makes a new wheelhouse and an old one is not rebuilt. Next to each archive is a
file with its SHA-256: a damaged archive is rebuilt. Its last file is empty and called ``whole``: it exists once
everything is unpacked.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

MANYLINUX = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_34")
NO_PIP = (
    "The Python of ansible-playbook on the control node, {0}, has no pip, which collects the server's packages. To do:"
    " install it, for example with '{0} -m ensurepip' or 'pipx inject ansible-core pip'."
)
NO_INDEX = (
    "To do: give the control node access to PyPI, or set PIP_INDEX_URL to your own index; or copy the files of"
    " capf_server_wheelhouse_cache from a control node that has access."
)
NO_TRUST = "To do: set PIP_CERT to the PEM file of the CA that signs the certificate of your package index or proxy."
INSTALL = '''"""Installs the server from the wheels beside this file into the running interpreter's environment."""

import pathlib
import runpy
import sys

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(next(here.glob("pip-*.whl"))))
wanted = "capf[postgresql]" if list(here.glob("psycopg-*.whl")) else "capf"
wanted = "capf-lab" if list(here.glob("capf_lab-*.whl")) else wanted
sys.argv = ["pip", "install", "--no-index", "--find-links", str(here), "--upgrade", "--force-reinstall", wanted]
try:
    runpy.run_module("pip", run_name="__main__")
except SystemExit as end:
    if end.code:
        raise
(here / "installed").write_text("")
'''


class WheelhouseError(Exception):
    """The wheelhouse cannot be built; the message is one line that says what to do."""


def digest(source: Path) -> str:
    """Return a digest of the server's project."""
    found = hashlib.sha256(INSTALL.encode())
    files = [source / "pyproject.toml", *sorted((source / "src").rglob("*"))]
    for path in files:
        if path.is_file() and "egg-info" not in str(path) and "__pycache__" not in str(path):
            found.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def version_of(sources: list[Path]) -> str:
    """Return the part of an archive's name that changes with the projects."""
    return hashlib.sha256("".join(map(digest, sources)).encode()).hexdigest()[:12]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sum_of(archive: Path) -> Path:
    """Return the file with the SHA-256 of an archive."""
    return archive.with_name(f"{archive.name}.sha256")


def is_whole(archive: Path) -> bool:
    """Return whether an archive exists and is undamaged."""
    kept = sum_of(archive)
    return archive.exists() and kept.exists() and kept.read_text() == sha256(archive)


def pip(*arguments: str) -> None:
    """Run pip; WheelhouseError with what to do if it is missing or fails."""
    if importlib.util.find_spec("pip") is None:
        raise WheelhouseError(NO_PIP.format(sys.executable))
    argv = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return
    print(done.stdout, file=sys.stderr)
    errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR:")]
    why = errors[0].removeprefix("ERROR:").strip() if errors else f"status {done.returncode}"
    hint = NO_TRUST if "CERTIFICATE_VERIFY_FAILED" in done.stdout else NO_INDEX
    raise WheelhouseError(f"pip cannot get the server's packages ({why}). {hint}")


def build(sources: list[Path], directory: Path, python: str, machine: str, extra: str) -> None:
    """Fill the directory with the wheels of the projects, their dependencies and pip."""
    for source in sources:
        with tempfile.TemporaryDirectory() as copy:
            project = Path(copy) / "project"
            shutil.copytree(source, project, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__", "build"))
            pip("wheel", "--no-deps", "--wheel-dir", str(directory), str(project))
    wheel = next(directory.glob("capf-*.whl"))
    platforms = [f"--platform={name}_{machine}" for name in MANYLINUX]
    pip("download", "--only-binary=:all:", f"--python-version={python}", "--implementation=cp", *platforms,
        "--dest", str(directory), f"{wheel}{extra}", "pip")  # fmt: skip
    (directory / "install.py").write_text(INSTALL)


def of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return an archive's entry as root's own: on the node, tar gives files to the user with this number or name."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    return member


def pack(directory: Path, name: str, target: Path) -> None:
    """Pack the files of a directory into an archive, in a directory of this name."""
    with tarfile.open(target, "w") as tar:
        for path in sorted(directory.iterdir()):
            if path != target:
                tar.add(path, f"{name}/{path.name}", filter=of_root)
        tar.addfile(of_root(tarfile.TarInfo(f"{name}/whole")))


def main() -> None:
    """Build the archive if it is missing."""
    parser = argparse.ArgumentParser()
    for name in ("--source", "--cache"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--python", "--machine"):
        parser.add_argument(name, required=True)
    parser.add_argument("--postgresql", action="store_true", help="include the wheels for PostgreSQL")
    parser.add_argument("--lab", type=Path, help="source of the simulated phones, to include them")
    arguments = parser.parse_args()
    sources = [path for path in (arguments.source, arguments.lab) if path is not None]
    kind, extra = ("-postgresql", "[postgresql]") if arguments.postgresql else ("", "")
    kind = "-lab" if arguments.lab else kind
    name = f"wheelhouse-{arguments.python}-{arguments.machine}-{version_of(sources)}{kind}"
    archive = arguments.cache / f"{name}.tar"
    missing = not is_whole(archive)
    if missing:
        arguments.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=arguments.cache) as work:
            build(sources, Path(work), arguments.python, arguments.machine, extra)
            unfinished = Path(work) / "archive"
            pack(Path(work), name, unfinished)
            sum_of(archive).write_text(sha256(unfinished))
            unfinished.replace(archive)
    print(json.dumps({"archive": str(archive), "name": name, "built": missing}))


if __name__ == "__main__":
    try:
        main()
    except WheelhouseError as error:
        sys.exit(str(error))
