# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A state directory owned by a user other than root, links out of it, and commands that root runs there."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capf.command_line import main

OWNER = 65534
"""The user and group that own the state directory: nobody and nogroup."""
FILES = (
    "capf.key", "capf.next", "strings.key", "administration.key", "administration.crt", "capf.crt", "CAPF.cer",
    "capf.db", "capf.db-wal", "lock", "capf.pid", "capf.log", "CTLFile.tlv", ".restoring",
)  # fmt: skip
FOLDERS = ("manufacturing", "trusted", "tokens", "trace", "files", "own")


@contextmanager
def reachable() -> Iterator[Path]:
    """Create a directory of root that everybody can list, such as /var/lib."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def owned(path: Path, owner: int = OWNER) -> Path:
    """Create a directory owned by a user."""
    path.mkdir(mode=0o700)
    os.chown(path, owner, owner)
    return path


@dataclass(frozen=True, slots=True)
class Outside:
    """Files and directories of root, the targets of links."""

    path: Path

    def plant(self, state: Path, files: Sequence[str] = FILES, folders: Sequence[str] = FOLDERS) -> list[Path]:
        """Create links with these names in a state directory to different files or directories; return them."""
        links = []
        for name in [*files, *folders]:
            target = self.path / name
            if name in folders:
                target.mkdir(mode=0o700)
                (target / "kept").write_text(name)
            else:
                target.write_text(f"root's own {name}")
                target.chmod(0o600)
            link = state / name
            link.symlink_to(target)
            os.chown(link, OWNER, OWNER, follow_symlinks=False)
            links.append(link)
        return links

    def plant_hard(self, state: Path, name: str) -> Path:
        """Create a hard link to a file of root in a state directory."""
        (self.path / name).write_text("root's own")
        os.link(self.path / name, state / name)
        return state / name

    def look(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Return owner, group, mode and content of everything."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            what = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(what.st_mode) else b""
            found[str(path)] = what.st_uid, what.st_gid, what.st_mode, content
        return found


def in_a_child(work: Callable[[], int]) -> int:
    """Return the exit status of a function in a separate process, which can drop root privileges."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = work()
        except BaseException:  # the child must never continue as a second pytest
            traceback.print_exc(file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def capf(*argv: object, given: bytes = b"") -> tuple[int, str, str]:
    """Run the command `capf` as root with standard input; return status, output and errors."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        source.write(given)
        source.seek(0)

        def work() -> int:
            for number, file in enumerate((source, output, errors)):
                os.dup2(file.fileno(), number)
            sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
            sys.argv = ["capf", *map(str, argv)]
            return main.main()

        status = in_a_child(work)
        output.seek(0)
        errors.seek(0)
        return status, output.read().decode(), errors.read().decode()
