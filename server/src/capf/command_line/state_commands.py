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
from capf.certificates import keystore
from capf.certificates.keystore import Keystore
from capf.node import belonging, configuration
from capf.node.state import StateDirectory


def add_parsers(commands: Any) -> None:
    """Add the verbs to the parser of ``capf``."""
    manufacturing = commands.add_parser("manufacturing-ca", help="trust issuers of MICs")
    actions = manufacturing.add_subparsers(dest="manufacturing", required=True)
    add = actions.add_parser("add", help="add the PEM certificates on standard input to the trusted ones")
    add.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    for command, run in (
        (commands.add_parser("state", help="show whether a state exists, and refuse links in its directory"), _state),
        (commands.add_parser("certificates", help="print the certificates of API and CAPF as JSON"), _certificates),
        (add, _add),
    ):
        command.add_argument("--config", type=Path, required=True)
        command.set_defaults(run=run)


def _directory(arguments: argparse.Namespace) -> StateDirectory:
    """Return the state directory; CapfError if it contains a link."""
    directory = configuration.load(arguments.config).state_directory
    belonging.refuse_links(directory)
    return StateDirectory(directory)


def _state(arguments: argparse.Namespace) -> None:
    print("present" if _directory(arguments).capf_key.exists() else "absent")


def _certificates(arguments: argparse.Namespace) -> None:
    directory = _directory(arguments)
    paths = (directory.administration_certificate, directory.path / "capf.crt")
    print(json.dumps({path.name: "".join(_texts(path)) for path in paths}))


def _texts(path: Path) -> list[str]:
    """Return only the certificates of a PEM file as text, without anything else that it contains."""
    return [keystore.pem(certificate).decode() for certificate in keystore.certificates(path)]


def _add(arguments: argparse.Namespace) -> None:
    wanted = keystore.certificates_in(sys.stdin.buffer.read(), "standard input")
    added = provisioning.add_manufacturing(Keystore(_directory(arguments).path), wanted, dry_run=arguments.dry_run)
    print(json.dumps({"changed": added}))
