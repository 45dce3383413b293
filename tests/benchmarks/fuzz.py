# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A million inputs of a coverage-guided fuzzer that starts from recorded data: rate, coverage, faults (P14).

Run: .venv/bin/python tests/benchmarks/fuzz.py [inputs] [target ...]
Without targets, all of them run one after the other, each in a separate process; the exit status is 1 if an input
causes anything except a result or the one allowed error.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

try:
    import atheris
except ImportError:
    sys.exit("the fuzzer atheris is not installed; PyPI has it for Linux on x86-64")

with atheris.instrument_imports(include=["capf"]):
    from support.targets import TARGETS, seeds

SHARES = {"wire": 0.4, "session": 0.4, "verify": 0.1, "certificate": 0.04, "public key": 0.03, "ctl": 0.03}
_LONGEST_INPUT = 20000


def fuzz(target: str, runs: int) -> None:
    """Run one target in this process, which then ends."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as directory:
        corpus = Path(directory) / "corpus"
        corpus.mkdir()
        for index, seed in enumerate(seeds(target)):
            (corpus / str(index)).write_bytes(seed)
        options = [f"-runs={runs}", f"-max_len={_LONGEST_INPUT}", "-seed=1", f"-artifact_prefix={directory}/"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[target])
        atheris.Fuzz()


def run(target: str, runs: int) -> bool:
    """Run one target in a separate process and print its figures; return whether no fault was found."""
    argv = [sys.executable, __file__, "--here", target, str(runs)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    ended = re.search(r"Done (\d+) runs in (\d+) second", done.stderr)
    reached = re.findall(r"cov: (\d+) ft: (\d+)", done.stderr)
    if done.returncode or not ended or not reached:
        print(f"{target:<12} FAULT\n{done.stderr[-3000:]}", flush=True)
        return False
    rate = int(ended[1]) / max(1, int(ended[2]))
    coverage = f"coverage {reached[-1][0]}, features {reached[-1][1]}"
    print(f"{target:<12}{ended[1]:>9} inputs {rate:8.0f}/s   {coverage}", flush=True)
    return True


def main() -> int:
    """Run the chosen targets; return the exit status."""
    if sys.argv[1:2] == ["--here"]:
        fuzz(sys.argv[2], int(sys.argv[3]))
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    wanted = sys.argv[2:] or list(TARGETS)
    whole = sum(SHARES[target] for target in wanted)
    failed = sum(not run(target, int(inputs * SHARES[target] / whole)) for target in wanted)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
