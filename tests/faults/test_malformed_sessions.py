# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Thousands of malformed sessions: constant memory, one escaped log line each, and phones are served (P15)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import malformed
from support.enrolment import enrol, schedule
from support.node import RunningNode

WARM_UP, SESSIONS, PROCESSES = 1000, 3000, 2
MOST_GROWTH_KIB = SESSIONS
"""One kilobyte per session: more than the noise of the allocator, less than a leak of each session's bytes."""
LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} level=\w+ logger=[\w.]+ [\x20-\x7e]+")
OF_A_SESSION = re.compile(rb"session=([0-9a-f]{8}) event=(malformed|claim) ")


@pytest.fixture
def only(tmp_path: Path) -> Iterator[RunningNode]:
    """An activated node with a separate database."""
    node = RunningNode(tmp_path / "node").start()
    node.activate()
    yield node
    node.stop()


def test_p15_memory_is_flat_and_each_session_leaves_one_escaped_line(only: RunningNode) -> None:
    assert only.process is not None
    malformed.lead(only.capf_port, WARM_UP, PROCESSES)
    before, position = malformed.resident_kib(only.process.pid), only.log.stat().st_size
    malformed.lead(only.capf_port, SESSIONS, PROCESSES)
    assert malformed.resident_kib(only.process.pid) - before < MOST_GROWTH_KIB
    lines = only.log.read_bytes()[position:].splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    found = [OF_A_SESSION.search(line) for line in lines]
    sessions = [match[1] for match in found if match]
    assert len(lines) == len(sessions) == SESSIONS == len(set(sessions))
    assert sum(match[2] == b"claim" for match in found if match) == SESSIONS / len(malformed.KINDS)
    schedule(only)
    enrol(only)
