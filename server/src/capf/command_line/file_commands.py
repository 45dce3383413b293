# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``capf file``: looks into signed files of phones, checks their signatures and takes their content out (P62)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from capf.administration import file_inspection
from capf.model import CapfError

T = TypeVar("T")


def add_parser(commands: Any) -> None:
    """Add ``file`` and its commands to the parser of ``capf``."""
    file = commands.add_parser("file", help="show, verify and strip signed files of phones")
    actions = file.add_subparsers(dest="file", required=True)
    show = actions.add_parser("show", help="show what the header of a signed file, a CTL or an ITL file says")
    verify = actions.add_parser(
        "verify", help="check the signature as a phone does; the exit status is 1 if it is wrong"
    )
    strip = actions.add_parser("strip", help="write the content of a signed file, without a check of its signature")
    for command, run in ((show, _show), (verify, _verify), (strip, _strip)):
        command.add_argument("path", type=Path, help="the signed file")
        command.set_defaults(run=run)
    show.add_argument("--json", action="store_true", help="print the result as JSON")
    trust = verify.add_mutually_exclusive_group(required=True)
    trust.add_argument(
        "--ctl", type=Path, help="the CTL or ITL file of a phone, which lists the signers that it trusts"
    )
    trust.add_argument("--certificate", type=Path, help="file with trusted certificates in PEM")
    strip.add_argument("--to", type=Path, help="a new file for the content (default: standard output)")


def _show(arguments: argparse.Namespace) -> None:
    said = _of(arguments.path, file_inspection.describe)
    if arguments.json:
        print(json.dumps(said))
        return
    for name, value in said.items():
        print(f"{name.replace('_', ' '):<15} {value}")


def _verify(arguments: argparse.Namespace) -> None:
    trusted = (
        file_inspection.Trusted(file_inspection.certificates_of(arguments.certificate))
        if arguments.ctl is None
        else _of(arguments.ctl, file_inspection.trusted_by_list)
    )
    print(f"{arguments.path}: valid, signed by {_of(arguments.path, trusted.signer_of)}")


def _strip(arguments: argparse.Namespace) -> None:
    content = _of(arguments.path, file_inspection.content)
    if arguments.to is None:
        sys.stdout.buffer.write(content)
        return
    with arguments.to.open("xb") as file:
        file.write(content)


def _of(path: Path, look: Callable[[bytes], T]) -> T:
    """Return what ``look`` finds in a file; CapfError begins with the file's name."""
    try:
        return look(path.read_bytes())
    except CapfError as error:
        raise CapfError(f"{path}: {error}") from None
