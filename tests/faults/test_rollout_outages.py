# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that waits for a wave survives an outage of the server and of its database (R18)."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from support.enrolment import PHONE, SETTINGS, enrol, until_ready
from support.node import RunningNode
from support.plays import play
from support.postgresql import PostgreSQL

NIGHT = {"name": "night", "runner": "run-1", "rollout_id": 1}


def database_stops(node: RunningNode, cluster: PostgreSQL) -> None:
    """Make the database unavailable for some seconds."""
    cluster.stop()
    until_ready(node, False)
    time.sleep(6)
    cluster.start()
    until_ready(node)


def server_dies(node: RunningNode, _unused: PostgreSQL) -> None:
    """Kill the server and start it some seconds later."""
    node.stop(signal.SIGKILL)
    time.sleep(6)
    node.start()


@pytest.mark.parametrize("happens", [database_stops, server_dies])
def test_r18_a_wave_outlasts_an_outage(
    happens: Callable[[RunningNode, PostgreSQL], None], cluster: PostgreSQL, tmp_path: Path
) -> None:
    node = RunningNode(tmp_path / "node", database=cluster.new_database(cluster.template)).start()
    try:
        node.activate()
        node.ok("POST", "/phones", {"phones": [{"device_name": PHONE, **SETTINGS}]})
        node.ok("PUT", "/rollouts/night", {"runner": "run-1", "names": [PHONE]})
        node.ok("POST", "/rollouts/night/waves", {"runner": "run-1", "rollout_id": 1})
        found = []
        task = {"ucm.capf.rollout_wait": {**NIGHT, "number": 1, "progress_interval": 1}}
        waiting = Thread(target=lambda: found.append(play(node, task)))
        waiting.start()
        time.sleep(5)
        happens(node, cluster)
        enrol(node)
        waiting.join()
        (((waited,), output),) = found
        assert waited["counts"]["done"] == 1 and not waited["failed"], waited
        assert "the server is unreachable for" in output
    finally:
        node.stop()
