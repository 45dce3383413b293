# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output of the demonstration is short and ends with the table, and an interrupted one leaves no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_LINES = 150
WORK = ROOT / ".cache" / "demo" / "work"


def still_running() -> list[str]:
    """Return the command lines of processes that belong to the demonstration."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(WORK) in line:
            found.append(line)
    return found


def interrupt(number: signal.Signals) -> None:
    """Start the demonstration, interrupt it when its lab is ready, and check for remaining processes."""
    (WORK / "lab" / "ready.json").unlink(missing_ok=True)
    demo = subprocess.Popen(
        [sys.executable, ROOT / "demo" / "run.py"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    limit = time.monotonic() + 300
    while not (WORK / "lab" / "ready.json").exists():
        assert demo.poll() is None and time.monotonic() < limit
        time.sleep(0.2)
    time.sleep(2)
    assert any("capf serve" in line for line in still_running())
    demo.send_signal(number)
    _output, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130 and "interrupted" in errors
    assert still_running() == []


def test_p58_the_demonstration_is_short_ends_with_the_table_and_stops_what_it_started() -> None:
    # One test, because all runs use the one working directory of the checkout.
    done = subprocess.run([sys.executable, ROOT / "demo" / "run.py"], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(lines) + len(done.stderr.splitlines()) <= MOST_LINES, done.stdout
    assert lines[-1].split() == ["Upgrade", "Failed:", "Invalid", "Authentication", "String", "4", "4"]
    headlines = [line for line in lines if line.startswith("=== ")]
    assert headlines[3:5] == ["=== First rollout", "=== Second rollout: only the remaining phones"]
    assert sum(line.startswith("PROGRESS [wave ") for line in lines) == 4
    assert still_running() == []
    for number in (signal.SIGINT, signal.SIGTERM):
        interrupt(number)
