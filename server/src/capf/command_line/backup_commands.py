# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``capf backup`` and ``capf restore``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from capf.administration.backup import making, restoring
from capf.command_line import secret_input
from capf.node import belonging, configuration

_PLAIN = (
    "is not encrypted: anyone who can read it has the server's keys, and anyone who can write to it can forge it; "
    "give --passphrase-file instead of --plain"
)


def add_parsers(commands: Any) -> None:
    """Add ``backup`` and ``restore`` to the parser of ``capf``."""
    for name, what, option, run in (
        ("backup", "write the state and the database to one archive, and check it", "--to", _backup),
        ("restore", "check such an archive, and restore it", "--from", _restore),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("--config", type=Path, required=True)
        command.add_argument(option, type=Path, required=True, dest="archive", metavar="FILE")
        form = command.add_mutually_exclusive_group(required=True)
        form.add_argument(
            "--passphrase-file",
            type=Path,
            metavar="FILE",
            help="file of mode 0600 whose first line encrypts the archive; - for standard input",
        )
        form.add_argument("--plain", action="store_true", help="an unencrypted archive, which can be forged")
        command.set_defaults(run=run)
    command.add_argument("--unless-there", action="store_true", help="leave an existing state alone without an error")
    command.add_argument("--dry-run", action="store_true", help="check everything, and leave nothing behind")
    command.add_argument("--json", action="store_true", help="print the result as JSON")


def _backup(arguments: argparse.Namespace) -> None:
    made = making.write(configuration.load(arguments.config), arguments.archive, _passphrase(arguments))
    _warn(arguments)
    print(f"{arguments.archive} holds {made.files} files; SHA-256 {made.sha256}")


def _restore(arguments: argparse.Namespace) -> None:
    settings = configuration.load(arguments.config)
    belonging.refuse_links(settings.state_directory)
    if arguments.unless_there and restoring.is_there(settings):
        _answer(arguments, f"{settings.state_directory} already contains a CAPF server's state", changed=False)
        return
    held = restoring.restore(settings, arguments.archive, _passphrase(arguments), dry_run=arguments.dry_run)
    _warn(arguments)
    done = "would restore" if arguments.dry_run else "restored"
    message = f"{done} {len(held.files)} files of {held.made_at}, written by version {held.version}"
    _answer(arguments, message, changed=True)


def _answer(arguments: argparse.Namespace, message: str, *, changed: bool) -> None:
    """Print the result for a person, or with ``--json`` for a program."""
    print(json.dumps({"changed": changed, "message": message}) if arguments.json else message)


def _passphrase(arguments: argparse.Namespace) -> str | None:
    """Return the passphrase, None for a plain archive."""
    return None if arguments.plain else secret_input.first_line(arguments.passphrase_file, "passphrase-file")


def _warn(arguments: argparse.Namespace) -> None:
    if arguments.plain:
        print(f"capf: warning: {arguments.archive} {_PLAIN}", file=sys.stderr)
