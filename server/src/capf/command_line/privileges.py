"""Root gives itself up before it acts in a state directory (P31): it becomes the user who owns the directory.

The service user can put a link at any name of its own directory, at any time; so no check of a name helps root. A
command that has become that user can reach nothing through a link that the user could not reach without it. Files that
are named on the command line are opened as that user too; what only root can read is given on standard input.
"""

from __future__ import annotations

import argparse
import os
import pwd
import stat
from pathlib import Path

from capf.model import CapfError
from capf.node import configuration

_ROOT = 0
_FOR_THE_OWNER_ALONE = 0o077


def step_down(arguments: argparse.Namespace) -> str | None:
    """Become the owner of the state directory that a command is about, for good.

    The configuration names the state directory: where another user than root owns it, the command becomes that user
    before it reads it. Returns what an error of the command has to say about that; None where the command goes on as it
    is, because another user than root runs it, all is root's, or the command is about no state directory. CapfError for
    a directory that is a link.
    """
    if os.geteuid() != _ROOT or getattr(arguments, "configuration_only", False):
        return None
    path = getattr(arguments, "config", None)
    if path is not None and path.exists():
        said = _leave_root(path, path.stat())
        if said is not None:
            return said
    directory = getattr(arguments, "state_directory", None)
    if path is not None:
        directory = configuration.load(path).state_directory
    return None if directory is None else _leave_root(directory, _nearest(directory))


def _leave_root(path: Path, found: os.stat_result) -> str | None:
    """Become the owner of what was found at a path, unless it is root's."""
    if found.st_uid == _ROOT:
        return None
    name = _become(found.st_uid, found.st_gid)
    return f"the command ran as {name}, who owns {path}, and can reach what {name} can"


def _nearest(directory: Path) -> os.stat_result:
    """Return what a directory is, or the nearest one above it that exists; CapfError where that is a link."""
    whole = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() follows links
    for path in (whole, *whole.parents):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            raise CapfError(f"{path} is a link, which root does not follow; name the directory itself")
        return found
    raise CapfError(f"{directory}: there is no such place")


def _become(user: int, group: int) -> str:
    """Give up root for a user, with all of that user's groups and a home that fits; returns the user's name."""
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        name, home = str(user), "/"
        os.setgroups([])
    else:
        name, home, group = entry.pw_name, entry.pw_dir, entry.pw_gid
        os.initgroups(name, group)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    os.environ.update(HOME=home, USER=name, LOGNAME=name)
    os.umask(_FOR_THE_OWNER_ALONE)
    return name
