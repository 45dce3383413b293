# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Drops root privileges before acting in a state directory (P31), in favour of the directory's owner.

The service user can replace any file in its own directory with a link at any time, so checks of names do not protect
root. A command that runs as that user cannot reach anything through a link that the user could not reach anyway. Files
on the command line are also opened as that user; pass files that only root can read on standard input.
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
    """Permanently switch to the owner of the state directory that a command uses.

    The configuration names the state directory; if a user other than root owns the configuration, the command switches
    to that user before it reads it. Return a note for error messages, or None if nothing changes because the command
    does not run as root, everything belongs to root, or it uses no state directory. CapfError if the directory is a
    link.
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
    """Switch to the owner of a path, unless that is root."""
    if found.st_uid == _ROOT:
        return None
    name = _become(found.st_uid, found.st_gid)
    return f"the command ran as {name}, the owner of {path}, and can only reach what {name} can"


def _nearest(directory: Path) -> os.stat_result:
    """Return the status of a directory or of its nearest existing parent; CapfError if that is a link."""
    whole = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() follows links
    for path in (whole, *whole.parents):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            raise CapfError(f"{path} is a link, which root does not follow; name the directory itself")
        return found
    raise CapfError(f"{directory}: no such directory")


def _become(user: int, group: int) -> str:
    """Switch from root to a user with all groups and the home directory, and return the user's name."""
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
