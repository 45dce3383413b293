# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A coverage-guided fuzzer finds only results and the one allowed error (P14)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.targets import TARGETS, seeds

FUZZ = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"
RUNS = 2000


@pytest.mark.parametrize("target", TARGETS)
def test_p14_any_bytes_give_a_result_or_one_error(target: str) -> None:
    argv: list[str | Path] = [sys.executable, FUZZ, str(RUNS), target]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout
    assert f"{RUNS} inputs" in done.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_p14_the_recorded_truth_is_where_the_fuzzer_starts(target: str) -> None:
    given = seeds(target)
    assert len(given) >= 3
    for seed in given:
        TARGETS[target](seed)
