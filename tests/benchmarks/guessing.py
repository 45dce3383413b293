"""What guessing authentication strings for ten days from one address is worth (P40).

Run: .venv/bin/python tests/benchmarks/guessing.py [phones]
The figures are computed from the settings, and counted in an attack on the server's own rules, by a clock of its own:
the attacker tries at the very second at which he may, at the phone at which he may, and operations are scheduled again.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from capf.authority import Authority, make_capf_certificate
from capf.registry.context import Context, Policy
from capf.registry.elapsed import Elapsed
from capf.secretbox import KEY_BYTES, SecretBox
from capf.store.engine import Store
from support.guessing import DAY, DAYS, FOUR_DIGITS, GENERATED, Attack, prepare
from support.record import NOW, Record

PHONES = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000


@contextmanager
def recording() -> Iterator[Record]:
    """Open an empty record with a clock of its own."""
    with tempfile.TemporaryDirectory() as name:
        times, steady, directory = [NOW], [0.0], Path(name)
        context = Context(
            authority=Authority(*make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF"), os.urandom),
            secrets=SecretBox(os.urandom(KEY_BYTES)),
            clock=lambda: times[0],
            first_node=True,
            trace_directory=directory / "trace",
            token_directory=directory / "tokens",
            elapsed=Elapsed(lambda: steady[0], lambda: "boot"),
        )
        store = Store(f"sqlite:///{directory}/capf.db")
        yield Record(store, context, times, steady)
        store.close()


def show(what: str, tries: int, strings: int, aim: float) -> None:
    """Print a line: how many strings are compared, and how many of those that are right that comes to."""
    worth = tries / strings
    verdict = "" if worth <= aim else "TOO MUCH"
    print(f"{what:<46} {tries:5} tries {worth:10.6f}   at most {aim:<6g} {verdict}", flush=True)


def compute() -> None:
    """Print what the settings say."""
    policy = Policy()
    one, all_phones = policy.tries_per_operation, DAYS * policy.wrong_strings_per_day
    show("computed: one phone, 4 digits", one, FOUR_DIGITS, 0.01)
    show("computed: all phones, 4 digits", all_phones, FOUR_DIGITS, 0.2)
    show("computed: all phones, generated strings", all_phones, GENERATED, 0.0001)


def attack(phones: int) -> Attack:
    """Guess for ten days at so many phones."""
    names, begin = [f"SEP{number:012X}" for number in range(phones)], time.monotonic()
    with recording() as record:
        prepare(record, names)
        made = Attack(record, names)
        made.run(DAYS * DAY)
    seconds, most = time.monotonic() - begin, max(made.tries.values())
    print(f"{DAYS} days, {phones} phones: {seconds:.0f} s; most tries at one phone: {most}", flush=True)
    return made


def main() -> None:
    """Print the figures."""
    compute()
    show("simulated: one phone, 4 digits", attack(1).total, FOUR_DIGITS, 0.01)
    everywhere = attack(PHONES).total
    show(f"simulated: {PHONES} phones, 4 digits", everywhere, FOUR_DIGITS, 0.2)
    show(f"simulated: {PHONES} phones, generated strings", everywhere, GENERATED, 0.0001)


if __name__ == "__main__":
    main()
