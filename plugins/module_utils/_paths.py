# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a path leads that somebody gave: the one rule for modules, and on the control node for playbooks and roles."""

from __future__ import annotations

import os


def absolute(path: str) -> str:
    """Return a path as an absolute one, relative paths being relative to the working directory of this process.

    On the control node that is the directory in which the command was typed, as the kernel knows it: the environment
    variable C(PWD) may be missing, or be another's. C(..) stays, because after a symbolic link only the kernel knows
    where it leads.
    """
    expanded = os.path.expanduser(os.path.expandvars(path))
    joined = os.path.join(os.getcwd(), expanded)
    return joined if os.path.pardir in joined.split(os.path.sep) else os.path.normpath(joined)
