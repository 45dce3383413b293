# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command where an installation from before ``command_line`` looks for it."""

from capf.command_line.main import main

__all__ = ["main"]
