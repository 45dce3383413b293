# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command ``capf``."""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from typing import Any

from cryptography.utils import CryptographyDeprecationWarning

from capf.command_line import privileges, starting
from capf.model import CapfError, words_of
from capf.node import logs


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="capf", description="Certificate Authority Proxy Function for IP phones.")
    commands: Any = parser.add_subparsers(dest="command", required=True)
    importlib.import_module("capf.command_line.server_commands").add_parsers(commands)
    return parser


def main() -> int:
    """Run the command line and return the exit status: 0, or 1 with a one-line error message."""
    logs.to_console()
    warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # unusual phone certificates are common
    with starting.without_collection():
        arguments = _parser().parse_args()
    became = None
    try:
        became = privileges.step_down(arguments)
        arguments.run(arguments)
    except (CapfError, OSError) as error:
        print("; ".join(filter(None, (f"capf: {words_of(error)}", became))), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
