# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The example hook for Asterisk, against what Asterisk 16.28 of Debian 11 printed (P61).

Debian 12 and 13 have no Asterisk, so a program stands in for it that prints recorded output and records its commands.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOOK = ROOT / "docs" / "examples" / "asterisk-phones"
RECORDED = ROOT / "tests" / "data" / "asterisk"
HERE, ELSEWHERE = "SEP00000000000A", "SEP00000000000C"
STAND_IN = """#!/bin/sh
echo "$2" >> {commands}
case "$2" in
"pjsip show contacts") cat {recorded}/pjsip-show-contacts.txt ;;
"sip show peers") cat {recorded}/sip-show-peers.txt ;;
esac
"""


def run(place: Path, channel: str, *arguments: str) -> tuple[int, str, str, list[str]]:
    """Run the hook; return its exit status, its output, its errors, and the commands that Asterisk got."""
    asterisk, commands = place / "asterisk", place / "commands"
    asterisk.write_text(STAND_IN.format(commands=commands, recorded=RECORDED))
    asterisk.chmod(0o755)
    commands.write_text("")
    done = subprocess.run(
        [sys.executable, "-I", HOOK, *arguments],
        env={"CAPF_ASTERISK": str(asterisk), "CAPF_ASTERISK_CHANNEL": channel, "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr, commands.read_text().splitlines()


@pytest.mark.parametrize(
    ("channel", "listing", "notify"),
    [
        ("pjsip", "pjsip show contacts", f"pjsip send notify capf-reset endpoint {HERE}"),
        ("sip", "sip show peers", f"sip notify capf-reset {HERE}"),
    ],
)
def test_p61_asterisk_resets_registered_phones_and_names_the_others(
    tmp_path: Path, channel: str, listing: str, notify: str
) -> None:
    assert run(tmp_path, channel, "unregistered", HERE, ELSEWHERE) == (0, f"{ELSEWHERE}\n", "", [listing])
    assert run(tmp_path, channel, "reset", HERE) == (0, "", "", [listing, notify])
    status, _output, errors, commands = run(tmp_path, channel, "reset", ELSEWHERE, HERE)
    assert (status, commands) == (1, [listing, notify])
    assert errors == f"asterisk-phones: not registered: {ELSEWHERE}\n"


def test_p61_an_asterisk_that_does_not_answer_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-I", HOOK, "reset", HERE],
        env={"CAPF_ASTERISK": "/bin/false"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith("asterisk-phones: Asterisk cannot be asked: pjsip show")
