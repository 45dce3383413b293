# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measures the success of guessing authentication strings for ten days from one address (P40).

Run: .venv/bin/python tests/benchmarks/guessing.py [phones]
The figures are computed from the settings, and counted in an attack on the server's own rules, by a separate clock:
the attacker tries at the very second at which he may, at the phone at which he may, and operations are scheduled again.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from capf.certificates.authority import make_capf_certificate
from capf.registry.context import Policy
from support.guessing import DAY, DAYS, FOUR_DIGITS, GENERATED, Attack, prepare
from support.record import NOW, recording

PHONES = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000


def show(what: str, tries: int, strings: int, aim: float) -> int:
    """Print the number of compared strings and of guessed phones; return the tries."""
    worth = tries / strings
    verdict = "" if worth <= aim else "TOO MUCH"
    print(f"{what:<46} {tries:5} tries {worth:10.6f}   at most {aim:<6g} {verdict}", flush=True)
    return tries


def compute() -> tuple[int, int]:
    """Print the figures of the settings; return the tries for one phone and for all."""
    policy = Policy()
    one, everywhere = policy.tries_per_operation, DAYS * policy.wrong_strings_per_day
    show("computed: all phones, generated strings", everywhere, GENERATED, 0.0001)
    return (
        show("computed: one phone, 4 digits", one, FOUR_DIGITS, 0.01),
        show("computed: all phones, 4 digits", everywhere, FOUR_DIGITS, 0.2),
    )


def attack(phones: int) -> Attack:
    """Guess for ten days the strings of this number of phones."""
    names, begin = [f"SEP{number:012X}" for number in range(phones)], time.monotonic()
    signer = make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF")
    with (
        tempfile.TemporaryDirectory() as directory,
        recording(f"sqlite:///{directory}/capf.db", Path(directory), signer) as record,
    ):
        prepare(record, names)
        made = Attack(record, names)
        made.run(DAYS * DAY)
    seconds, most = time.monotonic() - begin, max(made.tries.values())
    print(f"{DAYS} days, {phones} phones: {seconds:.0f} s; most tries at one phone: {most}", flush=True)
    return made


def main() -> None:
    """Print the figures; exit with 1 if the rules allow different ones than the settings."""
    computed = compute()
    one = show("simulated: one phone, 4 digits", attack(1).total, FOUR_DIGITS, 0.01)
    everywhere = show(f"simulated: {PHONES} phones, 4 digits", attack(PHONES).total, FOUR_DIGITS, 0.2)
    show(f"simulated: {PHONES} phones, generated strings", everywhere, GENERATED, 0.0001)
    sys.exit(0 if (one, everywhere) == computed else 1)


if __name__ == "__main__":
    main()
