"""Says which of the places that root writes to on a node are in the hands of another user (P31).

Usage: python3 - USER --root PATH ... --service DIRECTORY ...

Whatever is on the way to the paths of --root, and they themselves, has to be root's, and only root may be able to write
to it. The directories of --service belong to USER once they are made; everything above them has to be root's, and they
must not be links. A name in a directory that only root can write to stays what it is between this look and what root
does there.

Exits with 1 and one line for each place that is not so. It needs nothing but Python.
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
"""As many links as the kernel follows for one name."""


def _id(name: str, table: Callable[[str], Sequence[Any]]) -> int:
    """Return the number of a user or group, -1 where there is none of that name yet."""
    try:
        return int(table(name)[2])
    except KeyError:
        return -1


def not_roots(path: str, found: os.stat_result, group: int) -> str | None:
    """Return why others than root can put something into a directory, None where they cannot."""
    if found.st_uid != 0:
        return f"{path} belongs to the user {_name(found.st_uid)}, not to root"
    if stat.S_ISLNK(found.st_mode):
        return None
    sticky = found.st_mode & stat.S_ISVTX
    if found.st_mode & stat.S_IWOTH and not sticky:
        return f"{path} can be written to by everybody"
    if found.st_mode & stat.S_IWGRP and found.st_gid == group and not sticky:
        return f"{path} can be written to by the service user's group"
    return None


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def way(path: str, links: int = _LINKS) -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything on the way to a path, from the top down, with what it is; what is missing ends it."""
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
    """Yield what is wrong on the way to a directory that root writes to."""
    for place, found in way(path):
        why = not_roots(place, found, group)
        if why:
            yield why
            return


def problems_of_service(path: str, user: int, group: int) -> Iterator[str]:
    """Yield what is wrong with a directory that the service user owns or shall own."""
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
    """Look; returns the exit status."""
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
