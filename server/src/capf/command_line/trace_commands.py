# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ``capf trace`` commands: read trace files on the node itself (R21, R27)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from capf.model import CapfError
from capf.node import configuration, trace_files
from capf.node.state import StateDirectory


def add_parser(commands: Any) -> None:
    """Add ``trace`` and its commands to the parser of ``capf``."""
    trace = commands.add_parser("trace", help="read trace files").add_subparsers(dest="trace", required=True)
    listing = trace.add_parser("list", help="list the trace files: size, last change, name")
    show = trace.add_parser("show", help="show a trace file")
    for command, run in ((listing, _list), (show, _show)):
        command.add_argument("--config", type=Path, required=True)
        command.set_defaults(run=run)
    show.add_argument("name", help="name of the file, as shown in the list")


def _directory(arguments: argparse.Namespace) -> Path:
    return StateDirectory(configuration.load(arguments.config).state_directory).trace


def _list(arguments: argparse.Namespace) -> None:
    for file in trace_files.listing(_directory(arguments)):
        print(f"{file.size:>10}  {file.modified}  {file.name}")


def _show(arguments: argparse.Namespace) -> None:
    content = trace_files.read(_directory(arguments), arguments.name)
    if content is None:
        raise CapfError(f"name: trace file {arguments.name!r} does not exist; choose one from capf trace list")
    sys.stdout.buffer.write(content)
