# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The verbs of ``capf`` for the server."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

from capf import __version__
from capf.administration import checking, new_node
from capf.cluster import sharing
from capf.command_line import (
    account_commands,
    backup_commands,
    database_commands,
    file_commands,
    keys_commands,
    secret_input,
    starting,
    state_commands,
    trace_commands,
)
from capf.model import CapfError
from capf.node import configuration


def add_parsers(commands: Any) -> None:
    """Add the server's verbs to the parser of ``capf``."""
    init = commands.add_parser("init", help="make the state directory, the CAPF certificate and the account")
    where = init.add_mutually_exclusive_group(required=True)
    where.add_argument("--state-directory", type=Path, help="the state directory, for a server with its own database")
    where.add_argument("--config", type=Path, help="configuration file that names state directory and database")
    init.add_argument("--administrator", required=True, help="the administrator's name, the same on every node")
    init.add_argument(
        "--password-file",
        type=Path,
        required=True,
        help="file of mode 0600 with the password in line 1, or - for standard input",
    )
    init.add_argument("--manufacturing-ca", type=Path, action="append", default=[], help="PEM of trusted MIC issuers")
    init.add_argument("--name", action="append", default=[], help="host name or address of this node")
    init.add_argument(
        "--like",
        type=Path,
        metavar="FILE",
        help="file with the output of `capf keys show` on the server that shares the database, or - for standard input,"
        " after the password if that is also there",
    )
    init.set_defaults(run=_init)
    for name, what, run in (
        ("serve", "run the server", _serve),
        ("check", "check a configuration file, and the keys, the database and the ports of its node", _check),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("--config", type=Path, required=True)
        command.set_defaults(run=run)
    command.add_argument("--configuration-only", action="store_true", help="check only the file")
    audit = commands.add_parser("audit", help="check the audit table").add_subparsers(dest="audit", required=True)
    verify = audit.add_parser("verify", help="check that no audit row was changed or removed")
    verify.add_argument("--config", type=Path, required=True)
    verify.set_defaults(run=_audit_verify)
    account_commands.add_parser(commands)
    backup_commands.add_parsers(commands)
    database_commands.add_parser(commands)
    state_commands.add_parsers(commands)
    keys_commands.add_parser(commands)
    file_commands.add_parser(commands)
    trace_commands.add_parser(commands)
    commands.add_parser("version", help="show the version").set_defaults(run=_version)


def _init(arguments: argparse.Namespace) -> None:
    password = secret_input.first_line(arguments.password_file, "password-file")
    like = None if arguments.like is None else sharing.unpack(secret_input.rest(arguments.like, "like"))
    settings = None if arguments.config is None else configuration.load(arguments.config)
    directory = arguments.state_directory if settings is None else settings.state_directory
    node = new_node.NewNode(
        directory,
        arguments.administrator,
        password,
        arguments.name or ["localhost", "127.0.0.1"],
        arguments.manufacturing_ca,
        None if settings is None else settings.database,
        like,
    )
    name = new_node.initialise(node, time.time())
    print(f"CAPF certificate {name} was created in {node.directory}")


def _serve(arguments: argparse.Namespace) -> None:
    with starting.without_collection():
        from capf.process.server import Server  # noqa: PLC0415 - the other verbs start three times as fast without it

    server = Server(configuration.load(arguments.config))
    asyncio.run(server.run())


def _check(arguments: argparse.Namespace) -> None:
    settings = configuration.load(arguments.config)
    print(f"{arguments.config} is valid")
    found = [] if arguments.configuration_only else checking.look(settings)
    for problem in found:
        print(problem)
    if found:
        raise CapfError("1 problem was found" if len(found) == 1 else f"{len(found)} problems were found")


def _audit_verify(arguments: argparse.Namespace) -> None:
    checking.check_audit(configuration.load(arguments.config).database)
    print("the audit table is unchanged")


def _version(_unused: argparse.Namespace) -> None:
    print(__version__)
