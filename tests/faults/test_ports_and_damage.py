# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Administration stays up in a real process while CAPF or the files port is unavailable (P36)."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from support.node import CAPF, RunningNode
from support.requesting import ADMINISTRATOR, PASSWORD
from support.waiting import until

TAKEN = "Address already in use"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """A stopped node that was activated."""
    made = RunningNode(tmp_path / "node").start()
    made.activate()
    made.stop()
    yield made
    if made.process is not None and made.process.poll() is None:
        made.stop()


def edit(node: RunningNode, statement: str, *values: object) -> None:
    """Change the database without the server."""
    with closing(sqlite3.connect(node.state / "capf.db", isolation_level=None)) as connection:
        assert connection.execute(statement, values).rowcount


def check(node: RunningNode) -> tuple[int, str]:
    """Run ``capf check``; return its exit status and output."""
    done = subprocess.run([CAPF, "check", "--config", node.config], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_p36_a_stored_port_of_the_servers_own_takes_nothing_down(node: RunningNode) -> None:
    edit(node, "UPDATE settings SET value = ? WHERE name = 'parameter:CAPF Phone Port'", str(node.port))
    why = f"CAPF Phone Port {node.port} is already used by this server's own administration"
    status, said = check(node)
    assert status == 1 and why in said
    node.start()
    shown = node.ok("GET", "/service")
    assert (shown["activated"], shown["running"], shown["problem"]) == (True, False, why)
    name = shown["capf_certificate"]["file_names"][0]
    with urllib.request.urlopen(f"{node.files_server}/{name}", timeout=5) as answer:
        assert answer.status == 200
    assert node.api("GET", "/readyz", base="")[0] == 503
    status, said = check(node)
    assert status == 1 and f"CAPF is activated but not running: {why}" in said
    node.ok("PUT", "/enterprise-parameters", {"parameters": {"CAPF Phone Port": node.capf_port}})
    assert node.ok("POST", "/service/restart", {"if_due": True})["changed"] is True
    assert node.ok("GET", "/service")["running"]
    until(lambda: node.api("GET", "/readyz", base="")[0] == 200)
    assert check(node)[0] == 0


def test_p36_capf_takes_its_port_as_soon_as_it_is_free(node: RunningNode) -> None:
    with socket.create_server(("127.0.0.1", node.capf_port)):
        node.start()
        assert TAKEN in node.ok("GET", "/service")["problem"]
    begin = time.monotonic()
    until(lambda: node.ok("GET", "/service")["running"], 30)
    assert time.monotonic() - begin < 15, "the server looks every five seconds"


def test_p36_a_files_port_that_is_taken_leaves_administration_up(node: RunningNode) -> None:
    with socket.create_server(("127.0.0.1", node.files_port)):
        node.start()
        until(lambda: node.api("GET", "/readyz", base="")[0] == 503, 15)
        ready = node.api("GET", "/readyz", base="")[1]
        assert f"files cannot listen on 127.0.0.1:{node.files_port}" in ready["problems"][0]
        assert node.ok("GET", "/service")["running"]
    until(lambda: node.api("GET", "/readyz", base="")[0] == 200, 30)


DAMAGED: dict[str, Callable[[RunningNode], object]] = {
    "administration.key": lambda node: (node.state / "administration.key").write_text("no key"),
    "administration.crt": lambda node: shutil.copy(node.state / "capf.crt", node.state / "administration.crt"),
    "is missing": lambda node: (node.state / "administration.key").unlink(),
    "cannot be used": lambda node: node.state.rename(node.directory / "away"),
}


@pytest.mark.parametrize("said", [*DAMAGED, "administration cannot listen"])
def test_p36_serve_ends_with_one_line_for_what_it_cannot_live_with(node: RunningNode, said: str) -> None:
    with ExitStack() as stack:
        if said in DAMAGED:
            DAMAGED[said](node)
        else:
            stack.enter_context(socket.create_server(("127.0.0.1", node.port)))
        argv: list[str | Path] = [CAPF, "serve", "--config", node.config]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and last.startswith("capf: ") and said in last
    assert "Traceback" not in done.stderr


def test_p36_a_lost_account_is_named_and_set_again(node: RunningNode) -> None:
    edit(node, "DELETE FROM settings WHERE name = 'password'")
    node.start()
    status, answer = node.api("GET", "/service")
    assert status == 409 and "`capf account password NAME`" in answer["error"]["message"]
    assert "row 'password'" in str(node.api("GET", "/readyz", base="")[1]["warnings"])
    argv: list[str | Path] = [CAPF, "account", "password", ADMINISTRATOR, "--config", node.config]
    subprocess.run(argv, check=True, capture_output=True, input=f"{PASSWORD}\n".encode())
    assert node.ok("GET", "/service")["running"]
