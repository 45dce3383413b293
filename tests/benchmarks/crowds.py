# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Load on a server: crowds of phones, slow phones, and malicious clients.

Each scenario is led by ``sessions.py`` and returns figures by name.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.load import Figures, Job, Phone, client, install_all, prepare, timed
from benchmarks.machine import Meter

from capf.phone_session.wire import Command
from support.node import RunningNode

SILENT, SILENT_AFTER_TLS, SLOW, PROBES = 2000, 200, 200, 100
TRIES, TRIES_A_PHONE = 270, 9
STRING: dict[str, Any] = {"authentication_mode": "By Authentication String"}


def done(node: RunningNode, jobs: list[Job]) -> int:
    """Return the number of phones that have their LSC."""
    answer = node.ok("POST", "/operations/wait", {"phones": [job.name for job in jobs], "timeout": 1})
    return int(answer["by_status"].get("Upgrade Success", 0))


def crowd(node: RunningNode, number: int, count: int) -> dict[str, float]:
    """All phones connect at once and get their LSC."""
    jobs = prepare(node, count, number)
    assert node.process is not None
    meter = Meter(node.process.pid)
    with client(install_all, node.capf_port, jobs, count) as pipe:
        figures: Figures = pipe.recv()
    for failure, times in Counter(figures.failures).most_common(3):
        print(f"{times} times: {failure}")
    return {
        f"{count} at once: done": done(node, jobs),
        f"{count} at once: failures": len(figures.failures),
        f"{count} at once: seconds": figures.total,
        f"{count} at once: CPU ms a session": meter.cpu_seconds() / count * 1000,
        f"{count} at once: largest memory MiB": meter.largest_mib(),
    }


async def _hold(pipe: Connection, port: int, jobs: list[Job]) -> None:
    phones = [Phone(port, job.name) for job in jobs]

    async def begin(phone: Phone) -> None:
        await phone.connect()
        await phone.authenticate()

    await asyncio.gather(*(begin(phone) for phone in phones))
    pipe.send(len(phones))
    await asyncio.to_thread(pipe.recv)
    await asyncio.gather(*(phone.finish(job.key) for phone, job in zip(phones, jobs, strict=True)))
    for phone in phones:
        phone.close()
    pipe.send(len(phones))


def held(node: RunningNode, number: int, count: int) -> dict[str, float]:
    """All phones stay in key generation concurrently, and then continue."""
    jobs = prepare(node, count, number)
    assert node.process is not None
    meter = Meter(node.process.pid)
    with client(_hold, node.capf_port, jobs) as pipe:
        assert pipe.recv() == count
        memory = meter.memory_mib()
        pipe.send("go on")
        assert pipe.recv() == count
    return {f"{count} held: memory MiB": memory, f"{count} held: done afterwards": done(node, jobs)}


async def _besiege(pipe: Connection, port: int) -> None:
    silent = [Phone(port, "") for _index in range(SILENT)]
    await asyncio.gather(*(phone.connect_tcp() for phone in silent))
    others = [Phone(port, "") for _index in range(SILENT_AFTER_TLS + SLOW)]
    for phone in others:
        await phone.connect()
    slow = [asyncio.create_task(phone.trickle()) for phone in others[:SLOW]]
    figures = Figures()

    async def probe() -> None:
        phone = Phone(port, "")
        await phone.connect()
        phone.close()

    await timed([probe() for _index in range(PROBES)], figures, 1)
    pipe.send(figures)
    for task in slow:
        task.cancel()


def besieged(node: RunningNode) -> dict[str, float]:
    """Silent and slow clients hold connections while new phones come, one after the other."""
    with client(_besiege, node.capf_port) as pipe:
        figures: Figures = pipe.recv()
    return {
        "besieged: AUTH_REQUEST median ms": figures.milliseconds(0.5),
        "besieged: AUTH_REQUEST max ms": figures.milliseconds(1),
        "besieged: failures": len(figures.failures),
    }


async def _be_refused(pipe: Connection, port: int, tries: list[tuple[str, str]]) -> None:
    seconds: dict[str, list[float]] = {}
    for kind, name in tries:
        phone = Phone(port, name)
        await phone.connect()
        begin = time.perf_counter()
        await phone.authenticate("0000000000", Command.END_SESSION)
        seconds.setdefault(kind, []).append(time.perf_counter() - begin)
        phone.close()
    pipe.send({kind: statistics.median(values) * 1000 for kind, values in seconds.items()})


def refused(node: RunningNode, number: int) -> dict[str, float]:
    """Four alternating reasons to refuse a phone: the response times that the phone observes."""
    node.stop()
    node.configure("authentication", wrong_strings_per_day=10 * TRIES).start()
    names = [job.name for job in prepare(node, TRIES // TRIES_A_PHONE + 1, number, **STRING)]
    (idle,) = [job.name for job in prepare(node, 1, number + 1, scheduled=False, **STRING)]
    locked, *wrong = names
    with client(_be_refused, node.capf_port, [("locking", locked)] * 10) as pipe:
        pipe.recv()
    tries = []
    for index in range(TRIES):
        tries += [("unknown device", "SEPFFFFFFFFFFFF"), ("wrong string", wrong[index % len(wrong)])]
        tries += [("locked", locked), ("nothing scheduled", idle)]
    with client(_be_refused, node.capf_port, tries) as pipe:
        medians: dict[str, float] = pipe.recv()
    return {f"refused, {kind}: median ms": value for kind, value in medians.items()}
