# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports paths that root writes to on a node but that another user could change (P31).

Usage: python3 - USER --root PATH ... --service DIRECTORY ...

The paths of --root and every directory above them must belong to root, and only root may be able to write to them. The
directories of --service belong to USER once they exist; everything above them must belong to root, and they must not
be links. A name in a directory that only root can write to cannot change between this check and what root does there.

Exits with status 1 and prints one line for each path that breaks this rule. It needs only Python.
"""

from __future__ import annotations

import argparse
import grp
import os
import pwd
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

_LINKS = 40
"""The number of links that the kernel follows for one name."""


def _id(name: str, table: Callable[[str], Sequence[Any]]) -> int:
    """Return the id of a user or group, -1 if it does not exist yet."""
    try:
        return int(table(name)[2])
    except KeyError:
        return -1


def not_roots(path: str, found: os.stat_result, group: int) -> str | None:
    """Return why a user other than root can change a path, None if no other user can."""
    if found.st_uid != 0:
        return f"{path} belongs to the user {_name(found.st_uid)}, not to root"
    if stat.S_ISLNK(found.st_mode):
        return None
    sticky = found.st_mode & stat.S_ISVTX
    if found.st_mode & stat.S_IWOTH and not sticky:
        return f"{path} is writable by everybody"
    if found.st_mode & stat.S_IWGRP and found.st_gid == group and not sticky:
        return f"{path} is writable by the service user's group"
    return None


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def way(path: str, links: int = _LINKS) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every path from the root down to a path with its status; stop at the first one that does not exist."""
    present = "/"
    yield present, os.lstat(present)
    parts = [part for part in os.path.abspath(path).split("/") if part]
    for number, part in enumerate(parts):
        present = os.path.join(present, part)
        try:
            found = os.lstat(present)
        except FileNotFoundError:
            return
        yield present, found
        if stat.S_ISLNK(found.st_mode):
            target = os.path.join(os.path.dirname(present), os.readlink(present), *parts[number + 1 :])
            if links:
                yield from way(target, links - 1)
            return


def problems(path: str, group: int) -> Iterator[str]:
    """Yield what is wrong with a path that root writes to, or with a directory above it."""
    for place, found in way(path):
        why = not_roots(place, found, group)
        if why:
            yield why
            return


def problems_of_service(path: str, user: int, group: int) -> Iterator[str]:
    """Yield what is wrong with a directory that belongs or will belong to the service user."""
    above = list(problems(os.path.dirname(os.path.abspath(path)), group))
    yield from above
    if above or not os.path.lexists(path):
        return
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        yield f"{path} is a link; name the directory itself"
    elif not stat.S_ISDIR(found.st_mode):
        yield f"{path} is not a directory"
    elif found.st_uid not in (0, user):
        yield f"{path} belongs to the user {_name(found.st_uid)}, not to the service user"


def main() -> int:
    """Check the paths of the command line; return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("user")
    parser.add_argument("--root", nargs="*", default=[])
    parser.add_argument("--service", nargs="*", default=[])
    arguments = parser.parse_args()
    user, group = _id(arguments.user, pwd.getpwnam), _id(arguments.user, grp.getgrnam)
    found = [why for path in arguments.root for why in problems(path, group)]
    found += [why for path in arguments.service for why in problems_of_service(path, user, group)]
    for why in dict.fromkeys(found):
        print(why, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
