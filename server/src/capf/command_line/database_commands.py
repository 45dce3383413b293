# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``capf database``: the copy that an upgrade makes before the new version migrates the database."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from capf.administration import upgrade_copy
from capf.node import configuration

_VERBS = {
    "copy": (upgrade_copy.make, "copy the database into the state directory; the server must be stopped"),
    "put-back": (upgrade_copy.put_back, "put the copy back if a newer version has migrated the database"),
    "discard": (upgrade_copy.discard, "remove the copy"),
}


def add_parser(commands: Any) -> None:
    """Add the verb to the parser of ``capf``."""
    database = commands.add_parser("database", help="copy the database before an upgrade, and put the copy back")
    actions = database.add_subparsers(dest="database", required=True)
    for name, (_work, what) in _VERBS.items():
        action = actions.add_parser(name, help=what)
        action.add_argument("--config", type=Path, required=True)
        action.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    work, _what = _VERBS[arguments.database]
    print(json.dumps({"changed": work(configuration.load(arguments.config))}))
