# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Random histories of a rollout: the parts add up to the phones wherever they are shown, and shown verdicts are the
ones that were given (P38)."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capf.api.rollout_reports import page
from capf.certificates.authority import Authority
from capf.certificates.secretbox import KEY_BYTES, SecretBox
from capf.model import CapfError, Operation, Outcome
from capf.phone_session.effects import Granted
from capf.registry import phones, progress
from capf.registry.context import Context
from capf.registry.parts import KEYS
from capf.registry.rollout import lease, monitor, rollout_report, show, verdict, waves
from capf.registry.transaction import Transaction
from capf.store import rollout_rows, rows
from capf.store.engine import Store
from support import rollouts as steps
from support import spreadsheet
from support.migrated import put_database
from support.record import NOW, Record
from support.rollouts import NAMES, NIGHT, STRING

pytestmark = pytest.mark.slow

PHONES = NAMES[:6]
Step = Callable[["History", str], Any]


@dataclass
class History:
    """A rollout's record, and its recorded verdicts by rollout and wave."""

    record: Record
    verdicts: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    held: list[Granted] = field(default_factory=list)

    def begin(self, _name: str) -> None:
        """Begin a rollout of all phones, or resume it, with another limit each time."""
        limits = ("0", "20%", "100%")
        limit = limits[len(self.verdicts) % len(limits)]
        known = [name for name in PHONES if self.is_known(name)]
        pace = {"wave_size": "3", "pilot_size": "1", "pilot_failure_limit": "100%", "failure_limit": limit}
        steps.begin(self.record, *known, spread_by="none", **pace)

    def judge(self, name: str) -> None:
        """Judge the running wave; one phone is not registered with call processing."""
        rollout = self.record.store.read(lambda c: show.find(c, NIGHT))
        begun = self.record.store.read(lambda c: rollout_rows.waves(c, rollout.id))
        number = next((wave.number for wave in begun if wave.started_at and wave.judged_at is None), 1)
        self.verdicts[rollout.id, number] = steps.verdict(self.record, number, name)

    def come(self, name: str) -> None:
        """Make a phone begin a session that stays open."""
        arrived = steps.arrive(self.record, name)
        if isinstance(arrived, Granted):
            self.held.append(arrived)

    def fail(self, name: str) -> None:
        """Make a phone fail to generate its key."""
        arrived = steps.arrive(self.record, name)
        if isinstance(arrived, Granted):
            self.record.fail(arrived.hold, Outcome.KEY_GENERATION_FAILED)

    def refuse(self, name: str) -> None:
        """Another client sends the phone's name without a valid proof."""
        self.record.claim(name, password="0000", peer="203.0.113.9")

    def schedule(self, name: str, operation: Operation) -> None:
        """An administrator schedules a different operation for the phone."""
        self.record.plan(name, operation=operation)

    def remove(self, name: str) -> None:
        """An administrator removes the phone from the server."""
        absent = [{"device_name": name}]
        self.record.run(lambda c: phones.ensure(Transaction(c, self.record.context, "admin"), absent, "absent"))

    def is_known(self, name: str) -> bool:
        """Return whether the phone is registered with the server."""
        return name in self.record.store.read(rows.phone_names)


STEPS: dict[str, Step] = {
    "begin": History.begin,
    "start": lambda history, _name: steps.start(history.record),
    "judge": History.judge,
    "abort": lambda history, _name: steps.abort(history.record),
    "succeed": lambda history, name: steps.succeed(history.record, name),
    "come": History.come,
    "lose": lambda history, name: steps.lose(history.record, name),
    "refuse": History.refuse,
    "fail": History.fail,
    "cancel": lambda history, name: history.schedule(name, Operation.NONE),
    "delete": lambda history, name: history.schedule(name, Operation.DELETE),
    "troubleshoot": lambda history, name: history.schedule(name, Operation.TROUBLESHOOT),
    "install": lambda history, name: history.schedule(name, Operation.INSTALL),
    "remove": History.remove,
    "add": lambda history, name: history.record.add(name),
    "secure": lambda history, name: history.record.add(name, device_security_mode="Encrypted"),
    "later": lambda history, _name: history.record.times.__setitem__(0, history.record.times[0] + 1000),
}
OFTEN = ["begin", "start", "start", "judge", "judge", "succeed", "succeed"]
histories = st.lists(st.tuples(st.sampled_from([*OFTEN, *STEPS]), st.sampled_from(PHONES)), min_size=3, max_size=30)
NIGHTS = [("begin", PHONES[0]), ("start", PHONES[0])]


@contextmanager
def history(signer: tuple[Any, Any]) -> Iterator[History]:
    """A new record with six phones, three of them by string, and a running CAPF."""
    with tempfile.TemporaryDirectory() as directory:
        times, path = [NOW], Path(directory)
        context = Context(
            authority=Authority(*signer, os.urandom),
            secrets=SecretBox(os.urandom(KEY_BYTES)),
            clock=lambda: times[0],
            first_node=True,
            trace_directory=path / "trace",
            token_directory=path / "tokens",
        )
        store = Store(put_database(path))
        try:
            record = Record(store, context, times)
            steps.prepare(record)
            for name in PHONES[::2]:
                record.add(name, authentication_mode=STRING)
            yield History(record)
        finally:
            store.close()


def adds_up(counts: dict[str, Any], phones_in_all: int) -> bool:
    """Return whether the parts add up to the phones, and have this number."""
    return bool(counts["phones"] == phones_in_all == sum(counts[key] for key in KEYS))


def check(found: History) -> None:
    """Check everything that is shown about the latest rollout and its waiting phones."""
    record = found.record
    known = record.store.read(rows.phone_names)
    waited = record.store.read(lambda c: progress.progress(c, known))
    assert adds_up(waited["counts"], len(known))
    if not record.run(show.every):
        return
    state = record.store.read(lambda c: show.state(c, NIGHT))
    members = record.store.read(lambda c: rollout_rows.members(c, state["id"]))
    assert adds_up(state["counts"], len(members)) and sum(state["by_status"].values()) == len(members)
    shown = {key: state["counts"][key] for key in KEYS}
    text = record.store.read(lambda c: "".join(rollout_report.csv_pieces(c, NIGHT)))
    lines = Counter(row["Part"].replace(" ", "_") for row in spreadsheet.opened(text))
    assert {key: lines[key] for key in KEYS} == shown
    watched = record.store.read(lambda c: monitor.numbers(Transaction(c, record.context)))
    assert {part.key: number for name, part, number in watched.phones if name == NIGHT} == shown
    check_waves(found, state, members, watched)


def check_waves(found: History, state: dict[str, Any], members: Any, watched: monitor.Numbers) -> None:
    """Check each wave: its numbers and its recorded verdict."""
    record, text = found.record, None
    for wave in state["waves"]:
        of_wave = [row for row in members if row.wave == wave["number"]]
        assert adds_up(wave, wave["phones"] if wave["judged_at"] else len(of_wave))
        given = found.verdicts.get((state["id"], wave["number"]))
        assert (given is None) == (wave["verdict"] is None) == (wave["judged_at"] is None)
        if given is None:
            continue
        text = text or page(record.store.read(lambda c: rollout_report.figures(c, NIGHT)))
        on_record = {name: given[name] for name in ("judged", "allowed", "stopped")} | {
            "failing": len(given["failing"])
        }
        assert wave["verdict"] == on_record and wave["judgement"] == given["judgement"] and given["judgement"] in text
        assert {key: wave[key] for key in given["counts"]} == given["counts"]
        assert (NIGHT, wave["number"], verdict.Verdict(**on_record)) in watched.verdicts
        limit = given["allowed"]
        assert given["stopped"] == (limit is not None and on_record["failing"] > limit)
    running = [wave for wave in state["waves"] if wave["started_at"] and not wave["judged_at"]]
    if state["state"] == "running" and running:
        run, number = lease.Run(NIGHT, state["id"], steps.RUN), running[0]["number"]
        now = record.store.read(lambda c: waves.progress(Transaction(c, record.context), run, number))
        assert now["counts"] == {key: running[0][key] for key in ("phones", *KEYS)}


@given(histories)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_p38_parts_add_up_and_verdicts_stay_whatever_happens(
    signer: tuple[Any, Any], happens: list[tuple[str, str]]
) -> None:
    with history(signer) as found:
        for step, name in [*NIGHTS, *happens]:
            # A step that the current state does not allow is refused, and changes nothing.
            with suppress(CapfError):
                STEPS[step](found, name)
            check(found)
