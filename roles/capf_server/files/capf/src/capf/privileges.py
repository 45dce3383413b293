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

from capf import config
from capf.model import CapfError

_ROOT = 0
_FOR_THE_OWNER_ALONE = 0o077


def step_down(arguments: argparse.Namespace) -> str | None:
    """Become the owner of the state directory that a command is about, for good.

    Returns what an error of the command has to say about that; None where the command goes on as it is, because another
    user than root runs it, the directory is root's, or the command is about no state directory. CapfError for a
    directory that is a link.
    """
    directory = _directory(arguments) if os.geteuid() == _ROOT else None
    if directory is None:
        return None
    found = _nearest(Path(os.path.abspath(directory)))  # noqa: PTH100 - resolve() follows links
    if found.st_uid == _ROOT:
        return None
    name = _become(found.st_uid, found.st_gid)
    return f"the command ran as {name}, who owns {directory}, and can reach what {name} can"


def _directory(arguments: argparse.Namespace) -> Path | None:
    """Return the state directory that a command is about, None where it is about none."""
    if getattr(arguments, "state_directory", None) is not None:
        return Path(arguments.state_directory)
    if arguments.command == "check" or getattr(arguments, "config", None) is None:
        return None
    return config.load(arguments.config).state_directory


def _nearest(directory: Path) -> os.stat_result:
    """Return what a directory is, or the nearest one above it that exists; CapfError where that is a link."""
    for path in (directory, *directory.parents):
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
