# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a phone that gets its LSC by null string or by authentication string."""

from __future__ import annotations

import time

from capf.phone_session.wire import Command, Tag
from support import canary
from support.client import Client
from support.node import RunningNode
from support.waiting import until

PHONE = "SEP00000000000A"
STRING = canary.STRING
SETTINGS = {"authentication_mode": "By Null String", "key_order": "EC Only", "ec_key_size": 256}


def schedule(node: RunningNode, *names: str, operation: str = "Install/Upgrade", **settings: object) -> None:
    """Register phones and schedule an operation for each."""
    wanted = names or (PHONE,)
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **SETTINGS, **settings} for name in wanted]})
    node.schedule(*wanted, operation=operation)


def schedule_by_string(node: RunningNode, name: str = PHONE) -> None:
    """Schedule an installation by ``STRING``: an authenticated session has the operation exclusively."""
    mode = {"authentication_mode": "By Authentication String"}
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **SETTINGS, **mode}]})
    item = {"device_name": name, "authentication_string": STRING}
    node.ok("POST", "/operations", {"operation": "Install/Upgrade", "items": [item]})


def enrol(node: RunningNode, name: str = PHONE, string: str = "") -> None:
    """Run a complete session."""
    client = Client(node.capf_port, name)
    assert client.authenticate(string).command is Command.KEY_GENERATE_REQUEST
    client.send_key()
    assert client.confirm().elements[Tag.REASON] == b"\x01"
    client.close()


def enrol_by_retries(node: RunningNode, name: str = PHONE, seconds: float = 20, string: str = "") -> None:
    """Retry, as a refused phone does, until the session succeeds."""
    limit = time.monotonic() + seconds
    while True:
        try:
            return enrol(node, name, string)
        except (AssertionError, EOFError, OSError):
            assert time.monotonic() < limit, "the operation stays with a session that is over"
            time.sleep(0.5)


def is_ready(node: RunningNode) -> bool:
    """Ask /readyz."""
    status, answer = node.api("GET", "/readyz", base="")
    assert (status == 200) == answer["ready"] == (not answer["problems"]), answer
    return bool(answer["ready"])


def until_ready(node: RunningNode, ready: bool = True) -> None:
    """Wait until the node reports that it is ready, or not ready."""
    until(lambda: is_ready(node) == ready, 30)
