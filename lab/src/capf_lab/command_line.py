# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command ``capf-lab``."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import signal
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from capf.model import CapfError, counted, words_of
from capf_lab import behaviour, control, csvfile
from capf_lab.conversation import KeyGeneration
from capf_lab.csvfile import Row
from capf_lab.flash import Flash
from capf_lab.fleet import Fleet
from capf_lab.keys import KeyMaker
from capf_lab.manufacturing import Maker
from capf_lab.network import AVAILABLE, WITHOUT_HTTP, FilesServers
from capf_lab.phone import RETRY_SECONDS, Phone, Surroundings

_SLOW_SECONDS = "3-6"
_FILES_PORT = 6970
_LINE = "%(asctime)s level=%(levelname)s logger=%(name)s %(message)s"
_POOL_NOTE = "the phones' RSA keys come from a pool of {} primes: for rehearsals of scale, never for security"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="capf-lab", description="Simulated phones for a CAPF server.")
    lab: Any = parser.add_subparsers(dest="lab", required=True)
    init = lab.add_parser("init", help="make a manufacturing CA and every phone's flash with its MIC")
    run = lab.add_parser("run", help="switch the phones on and wait for resets")
    for command in (init, run):
        command.add_argument("--directory", type=Path, required=True, help="directory of the lab")
        command.add_argument("--phones", type=Path, required=True, help="CSV file of the phones")
        command.add_argument(
            "--key-pool", type=int, default=0, metavar="N", help="make RSA keys from a pool of N primes"
        )
    init.set_defaults(run=_init)
    _add_files_servers(run)
    run.add_argument(
        "--addresses", choices=AVAILABLE, default="both", help="addressing mode of phones whose row has none"
    )
    trusted = "PEM of the CAPF that phones without a CTL file trust until they find one on the files server"
    run.add_argument("--capf-certificate", type=Path, action="append", default=[], help=trusted)
    run.add_argument("--control", default="127.0.0.1:0", help="host:port for requests to the lab")
    run.add_argument(
        "--strings",
        type=Path,
        help="CSV file of the authentication strings that people enter, or directory of such files",
    )
    for name in ("offline", "slow", "lossy", "wrong-string"):
        run.add_argument(f"--{name}", default="0%", metavar="SHARE", help="share of such phones, as in 3%%")
    run.add_argument("--key-generation-seconds", default="0-0", metavar="A-B", help="seconds to generate a key")
    run.add_argument(
        "--retry-seconds", type=float, default=RETRY_SECONDS, help="seconds between retries; real phones wait 30"
    )
    run.set_defaults(run=_run)
    _add_requests(lab)
    return parser


def _add_files_servers(command: argparse.ArgumentParser) -> None:
    command.add_argument("--files-server", required=True, help="URL of the files server, http://host:6970")
    command.add_argument("--tftp-server", metavar="HOST:PORT", help="server for files that phones cannot fetch by HTTP")


def _add_requests(lab: Any) -> None:
    reset = lab.add_parser("reset", help="reset phones of a running lab")
    move = lab.add_parser("move", help="change the files server of phones of a running lab")
    unregistered = lab.add_parser("unregistered", help="print which phones are not registered with call processing")
    press = lab.add_parser("press", help="press keys on a phone and show its screen")
    status = lab.add_parser("status", help="show the state of the phones of a running lab")
    for command in (reset, move, unregistered, press, status):
        command.add_argument("--control", required=True, help="host:port of the running lab")
    for command in (reset, move, unregistered):
        command.add_argument("names", nargs="+", metavar="NAME")
    _add_files_servers(move)
    press.add_argument("name")
    press.add_argument("keys", nargs="+", metavar="KEY")
    reset.set_defaults(run=_reset)
    move.set_defaults(run=_move)
    unregistered.set_defaults(run=_unregistered)
    press.set_defaults(run=_press)
    status.set_defaults(run=_status)


def _flash(directory: Path, row: Row) -> Flash:
    return Flash(directory / "phones" / row.device_name)


def _init(arguments: argparse.Namespace) -> None:
    rows = csvfile.read(arguments.phones)
    keys = _keys(arguments.key_pool)
    maker = Maker.open_or_make(arguments.directory / "manufacturing", "Lab Manufacturing CA")

    def make(row: Row) -> None:
        flash = _flash(arguments.directory, row)
        if row.mic and flash.mic is None:
            flash.make_mic(maker.make_mic(row.device_name, row.model, keys))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _unused in pool.map(make, rows):
            pass
    print(f"{counted(len(rows), 'phone')} created in {arguments.directory}, {sum(row.mic for row in rows)} with a MIC")


def _keys(pool: int) -> KeyMaker:
    if pool:
        print(_POOL_NOTE.format(pool), file=sys.stderr)
    return KeyMaker(pool)


def _files_servers(arguments: argparse.Namespace) -> FilesServers:
    url = urlsplit(arguments.files_server)
    try:
        http = url.hostname or "", url.port or _FILES_PORT
    except ValueError:
        http = "", 0
    if url.scheme != "http" or not http[0]:
        raise CapfError(f"files-server: {arguments.files_server!r} is refused; allowed: http://host:{_FILES_PORT}")
    return FilesServers(http, arguments.tftp_server and control.address(arguments.tftp_server, "tftp-server"))


def _seconds(text: str) -> tuple[float, float]:
    low, _unused, high = text.partition("-")
    try:
        found = float(low), float(high or low)
    except ValueError:
        found = (-1.0, -1.0)
    if not 0 <= found[0] <= found[1]:
        raise CapfError(f"key-generation-seconds: {text!r} is refused; allowed: seconds such as 0-5")
    return found


def _fleet(arguments: argparse.Namespace) -> Fleet:
    rows = csvfile.read(arguments.phones)
    keys = _keys(arguments.key_pool)
    around = Surroundings(
        files=_files_servers(arguments),
        generation=KeyGeneration(keys, _seconds(arguments.key_generation_seconds)),
        slow_generation=KeyGeneration(keys, _seconds(_SLOW_SECONDS), progress_seconds=1.0),
        retry_seconds=arguments.retry_seconds,
    )
    names = ("offline", "slow", "lossy", "wrong_string")
    shares = behaviour.Shares(**{name: behaviour.share(getattr(arguments, name)) for name in names})
    phones = [
        Phone(
            row.device_name,
            _flash(arguments.directory, row),
            around,
            row.behaviour or shares.of(row.device_name),
            replace(row.addresses or AVAILABLE[arguments.addresses], http=row.model not in WITHOUT_HTTP),
        )
        for row in rows
    ]
    _hand_out_ctl(arguments, phones)
    return Fleet(phones)


def _hand_out_ctl(arguments: argparse.Namespace, phones: Sequence[Phone]) -> None:
    """Install a CTL file of the lab on phones that have none, as a CTL client would.

    A phone keeps it only until it is offered another one, as a phone does after its file was erased: no lab's token
    signs the files of a server.
    """
    if not arguments.capf_certificate:
        return
    token = Maker.open_or_make(arguments.directory / "token", "Lab Security Token")
    data = token.make_ctl([x509.load_pem_x509_certificate(path.read_bytes()) for path in arguments.capf_certificate])
    for phone in phones:
        if phone.flash.ctl is None or phone.flash.ctl_is_the_labs:
            phone.flash.store_ctl(data, of_the_lab=True)


def _run(arguments: argparse.Namespace) -> None:
    _unused, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_serve(arguments, _fleet(arguments)))


async def _serve(arguments: argparse.Namespace, fleet: Fleet) -> None:
    host, port = control.address(arguments.control)
    server = await control.serve(fleet, host, port)
    port = server.sockets[0].getsockname()[1]
    ready = {"control": f"{host}:{port}", "pid": os.getpid()}
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    temporary = arguments.directory / "ready.json.new"
    temporary.write_text(json.dumps(ready))
    temporary.replace(arguments.directory / "ready.json")
    print(f"{counted(len(fleet.phones), 'phone')} switched on; control at {host}:{port}", flush=True)
    people = asyncio.create_task(fleet.people(arguments.strings))
    await stop.wait()
    people.cancel()
    await fleet.stop()
    server.close()


def _reset(arguments: argparse.Namespace) -> None:
    _check_known(control.ask(arguments.control, {"do": "reset", "names": arguments.names})["unknown"])


def _move(arguments: argparse.Namespace) -> None:
    request = {"do": "move", "names": arguments.names, **asdict(_files_servers(arguments))}
    _check_known(control.ask(arguments.control, request)["unknown"])


def _check_known(unknown: Sequence[str]) -> None:
    if unknown:
        raise CapfError(f"not in this lab: {', '.join(unknown[:20])}")


def _unregistered(arguments: argparse.Namespace) -> None:
    for name in control.ask(arguments.control, {"do": "unregistered", "names": arguments.names})["names"]:
        print(name)


def _press(arguments: argparse.Namespace) -> None:
    print(control.ask(arguments.control, {"do": "press", "name": arguments.name, "keys": arguments.keys})["shown"])


def _status(arguments: argparse.Namespace) -> None:
    print(json.dumps(control.ask(arguments.control, {"do": "status"}), indent=2))


def main() -> int:
    """Run the command; return the exit status: 0, or 1 after printing one line that describes the error."""
    logging.basicConfig(level=logging.INFO, format=_LINE)
    warnings.simplefilter(
        "ignore", CryptographyDeprecationWarning
    )  # the certificates of some phones are intentionally old
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except (CapfError, OSError) as error:
        print(f"capf-lab: {words_of(error)}", file=sys.stderr)
        return 1
    return 0
