# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phones of a rollout are reset only while its run leads it (P37)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from capf.administration.reset_command import Resetter
from capf.store import rollout_rows
from support.inprocess import InProcess, new_state

PHONES = [f"SEP00000000000{digit}" for digit in "0123456789"]
RUN = {"name": "night", "rollout_id": 1, "runner": "run-1"}
APPEND = "import sys, time; open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); time.sleep(0.5)"


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A node on which CAPF runs, with a rollout of ten phones whose wave has begun; a reset takes half a second."""
    directory = new_state(tmp_path / "state")
    made = await InProcess(directory).begin()
    command = (sys.executable, "-c", APPEND, str(tmp_path / "resets"), "{name}")
    made.server.resetter = Resetter(command, parallel=1, seconds=30)
    await made.ok("PUT", "/service", {"activated": True})
    await made.ok("PUT", "/rollouts/night", {"runner": "run-1", "phones": [{"device_name": name} for name in PHONES]})
    await made.ok("POST", "/rollouts/night/waves", {"runner": "run-1", "rollout_id": 1})
    yield made
    await made.close()


def done(tmp_path: Path) -> list[str]:
    """Return the phones that were reset."""
    path = tmp_path / "resets"
    return path.read_text().split() if path.exists() else []


async def test_p37_after_an_abort_no_further_phone_is_reset(node: InProcess, tmp_path: Path) -> None:
    resetting = asyncio.create_task(node.ask("POST", "/phones/reset", {"phones": PHONES, "rollout": RUN}))
    while not done(tmp_path):
        await asyncio.sleep(0.05)
    await node.ok("POST", "/rollouts/night/abort", {"runner": "abort"})
    answer = await resetting
    assert answer.status == 409 and b"the rollout 'night' was aborted by admin at" in answer.body
    assert 1 <= len(done(tmp_path)) < len(PHONES)


async def test_p37_no_phone_is_reset_for_a_rollout_that_has_ended_or_another_run_leads(
    node: InProcess, tmp_path: Path
) -> None:
    other = {"phones": PHONES, "rollout": {**RUN, "runner": "run-2"}}
    answer = await node.ask("POST", "/phones/reset", other)
    assert answer.status == 409 and b"another run of the rollout 'night' was active" in answer.body
    await node.ok("POST", "/rollouts/night/abort", {"runner": "abort"})
    answer = await node.ask("POST", "/phones/reset", {"phones": PHONES, "rollout": RUN})
    assert answer.status == 409 and b"was aborted by admin" in answer.body
    assert done(tmp_path) == []


async def test_r18_a_long_reset_is_a_heartbeat_of_the_run(node: InProcess, tmp_path: Path) -> None:
    async def seen_at() -> int:
        row = await node.server.store.aread(lambda c: rollout_rows.by_id(c, 1))
        assert row is not None
        return row.seen_at

    begin = await seen_at()
    await node.ok("POST", "/phones/reset", {"phones": PHONES, "rollout": RUN})
    assert done(tmp_path) == PHONES and await seen_at() >= begin + 3
