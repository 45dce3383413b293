# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``capf account``: the administrator's password, for the owner of the node."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from capf.administration.password import ensure_password
from capf.command_line import secret_input
from capf.node import configuration


def add_parser(commands: Any) -> None:
    """Add the verb to the parser of ``capf``."""
    account = commands.add_parser("account", help="change the administrator's password")
    actions = account.add_subparsers(dest="account", required=True)
    password = actions.add_parser(
        "password", help="set the password to the first line of standard input; the old one is not needed"
    )
    password.add_argument("administrator", metavar="NAME", help="the administrator's name, the same on every node")
    password.add_argument("--config", type=Path, required=True)
    password.add_argument("--rename", action="store_true", help="give the administrator this name")
    password.add_argument("--dry-run", action="store_true", help="report whether it would change, but change nothing")
    password.set_defaults(run=_password)


def _password(arguments: argparse.Namespace) -> None:
    database = configuration.load(arguments.config).database
    password = secret_input.first_line(secret_input.STANDARD_INPUT, "password")
    changed = ensure_password(
        database, arguments.administrator, password, rename=arguments.rename, dry_run=arguments.dry_run
    )
    print(json.dumps({"changed": changed}))
