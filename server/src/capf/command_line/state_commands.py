# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``capf state``, ``certificates`` and ``manufacturing-ca``: the verbs that a deployment needs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from capf.administration import provisioning
from capf.node import configuration


def add_parsers(commands: Any) -> None:
    """Add the verbs to the parser of ``capf``."""
    manufacturing = commands.add_parser("manufacturing-ca", help="trust issuers of MICs")
    actions = manufacturing.add_subparsers(dest="manufacturing", required=True)
    add = actions.add_parser("add", help="add the PEM certificates on standard input to the trusted ones")
    add.add_argument("--dry-run", action="store_true", help="report what would change, but change nothing")
    for command, run in (
        (commands.add_parser("state", help="show whether a state exists, and refuse links in its directory"), _state),
        (commands.add_parser("certificates", help="print the certificates of API and CAPF as JSON"), _certificates),
        (add, _add),
    ):
        command.add_argument("--config", type=Path, required=True)
        command.set_defaults(run=run)


def _state(arguments: argparse.Namespace) -> None:
    print("present" if provisioning.has_state(configuration.load(arguments.config)) else "absent")


def _certificates(arguments: argparse.Namespace) -> None:
    print(json.dumps(provisioning.certificates(configuration.load(arguments.config))))


def _add(arguments: argparse.Namespace) -> None:
    settings, pem = configuration.load(arguments.config), sys.stdin.buffer.read()
    print(json.dumps({"changed": provisioning.add_manufacturing(settings, pem, dry_run=arguments.dry_run)}))
