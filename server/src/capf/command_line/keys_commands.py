# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``capf keys``: the keys that a server needs from another one with the same database."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from capf.administration import shared_keys
from capf.cluster import sharing


def add_parser(commands: Any) -> None:
    """Add ``keys`` and its commands to the parser of ``capf``."""
    keys = commands.add_parser("keys", help="keys and trust of servers that share a database")
    actions = keys.add_subparsers(dest="keys", required=True)
    show = actions.add_parser("show", help="print the keys, which are secret")
    take = actions.add_parser("take", help="read the keys from standard input, as `capf keys show` prints them")
    for command in (show, take):
        command.add_argument("--state-directory", type=Path, required=True)
    take.add_argument("--dry-run", action="store_true", help="report what would change, but change nothing")
    show.set_defaults(run=_show)
    take.set_defaults(run=_take)


def _show(arguments: argparse.Namespace) -> None:
    print(sharing.pack(arguments.state_directory))


def _take(arguments: argparse.Namespace) -> None:
    wanted = sharing.unpack(sys.stdin.read())
    changed = shared_keys.take(arguments.state_directory, wanted, dry_run=arguments.dry_run)
    print(json.dumps({"changed": changed}))
