# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""One table contains the words for a phone's part of a rollout (P38)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from capf.api.rollout_shapes import Counts
from capf.model import State
from capf.registry import parts
from capf.registry.parts import KEYS, NOT_REGISTERED, REFUSED, WITHOUT_LSC, Part, WavePhase
from capf.store import rollout_rows

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rollout.md"
AHEAD, RUNS, OVER, NEVER = WavePhase(begun=False), WavePhase(), WavePhase(over=True), WavePhase(begun=False, over=True)
HELD = {"in_session": True}


@pytest.mark.parametrize(
    ("state", "wave", "more", "part"),
    [
        (None, AHEAD, {}, Part.WAITING),
        (None, AHEAD, {"note": f"{REFUSED}: no"}, Part.FAILED),
        (None, NEVER, {}, Part.SKIPPED),
        (None, RUNS, {"note": "LSC is right"}, Part.SKIPPED),
        (None, RUNS, {}, Part.SKIPPED),
        (None, RUNS, {"note": f"{REFUSED}: no"}, Part.FAILED),
        (State.PENDING, RUNS, {}, Part.IN_FLIGHT),
        (State.PENDING, RUNS, {"came": True}, Part.IN_FLIGHT),
        (State.CLAIMED, RUNS, HELD, Part.IN_FLIGHT),
        (State.PENDING, OVER, {}, Part.UNREACHED),
        (State.PENDING, OVER, {"came": True}, Part.FAILED),
        (State.ISSUED, OVER, {"came": True}, Part.FAILED),
        (State.CLAIMED, OVER, HELD, Part.IN_FLIGHT),
        (State.ISSUED, OVER, HELD | {"came": True}, Part.IN_FLIGHT),
        (State.DONE, RUNS, {}, Part.DONE),
        (State.DONE, OVER, {"came": True}, Part.DONE),
        (State.DONE, OVER, {"note": NOT_REGISTERED}, Part.FAILED),
        (State.DONE, OVER, {"note": WITHOUT_LSC}, Part.FAILED),
        (State.FAILED, RUNS, {}, Part.FAILED),
        (State.CANCELLED, RUNS, {}, Part.FAILED),
    ],
)
def test_p38_the_part_of_a_phone(state: State | None, wave: WavePhase, more: dict[str, object], part: Part) -> None:
    assert parts.part(state, wave, **more) is part  # type: ignore[arg-type]


def test_p38_all_places_have_the_words_of_the_table() -> None:
    assert KEYS == ("waiting", "in_flight", "done", "failed", "unreached", "skipped")
    assert set(Counts.model_fields) == {"phones", *KEYS}
    assert set(rollout_rows.COUNTED) == {"phones", *KEYS} - {Part.WAITING.key}
    documented = re.findall(r"^\| `([a-z ]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert documented == [part.value for part in Part]


def test_p38_numbers_are_shown_in_words_that_agree_with_them() -> None:
    numbers = parts.counts([Part.DONE, Part.IN_FLIGHT, Part.SKIPPED, Part.DONE])
    assert numbers == {"phones": 4, **dict.fromkeys(KEYS, 0), "done": 2, "in_flight": 1, "skipped": 1}
    assert parts.words(numbers) == "4 phones: 1 in flight, 2 done, 1 skipped"
    assert parts.words(parts.counts([Part.FAILED])) == "1 phone: 1 failed"
    assert parts.words(parts.counts([])) == "0 phones"
