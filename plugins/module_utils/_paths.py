# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How relative paths are resolved, in modules and, on the control node, in playbooks and roles."""

from __future__ import annotations

import os


def absolute(path: str) -> str:
    """Return the absolute form of a path. A relative path is relative to the working directory of this process.

    On the control node that is the directory in which the command was typed, according to the kernel: the environment
    variable C(PWD) may be missing or belong to another process. C(..) stays, because only the kernel knows where it
    leads after a symbolic link.
    """
    expanded = os.path.expanduser(os.path.expandvars(path))
    joined = os.path.join(os.getcwd(), expanded)
    return joined if os.path.pardir in joined.split(os.path.sep) else os.path.normpath(joined)
