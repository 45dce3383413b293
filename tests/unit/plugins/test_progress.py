# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress appears under its own heading and is repeated only if it changes (P58)."""

from __future__ import annotations

import pytest
from ansible.utils.display import Display
from ansible_collections.ucm.capf.plugins.plugin_utils._waiting import LiveLine, numbers


def test_p58_progress_has_its_own_heading_and_no_line_twice(capsys: pytest.CaptureFixture[str]) -> None:
    line = LiveLine(Display(), "wave 2 of the rollout night")
    for done in (0, 0, 0, 5, 5):
        line.show(f"done {done}", ", time left 9 s")
    line.end()
    shown = capsys.readouterr().out.split("\n")
    assert shown[:2] == ["", f"PROGRESS [wave 2 of the rollout night] {'*' * (len(shown[1]) - 39)}"]
    assert shown[2:] == ["    done 0, time left 9 s", "    done 5, time left 9 s", ""]


def test_p58_a_line_whose_rate_alone_changed_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    line = LiveLine(Display(), "the rollout night")
    for done, rate in ((1, 5), (1, 6), (2, 6)):
        line.show(f"done {done}, {rate} a minute", key=f"done {done}")
    shown = capsys.readouterr().out.split("\n")
    assert shown[2:] == ["    done 1, 5 a minute", "    done 2, 6 a minute", ""]


def test_p58_a_line_of_progress_has_the_words_of_the_parts() -> None:
    counts = dict.fromkeys(("waiting", "in_flight", "done", "failed", "unreached", "skipped"), 1)
    assert numbers(counts) == "done 1, failed 1, in flight 1, waiting 1, unreached 1, skipped 1"
