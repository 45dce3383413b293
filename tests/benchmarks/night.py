# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulates nights of rollouts with the server's own policy, in waves and rolling, beside the bound of the work.

Run: .venv/bin/python tests/benchmarks/night.py [--small]
Exits with 1 if an aim is missed. Fleets and times are described in tests/support/night.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.night import OLD, Fleet, Night, longest_seconds, make_fleet, make_limits, waves_seconds, work_seconds

HOUR = 3600
ALLOWED = (0.25, 0.15, 0.05)
"""The errors of the estimate at 10, 50 and 90 % of the way, as parts of the whole."""
FOUR_TIMES = {(5000, 250), (40_000, 2500), (1000, 50)}
"""Phones and places of the mixed fleets in which rolling is to be four times as fast as waves."""


def compare(title: str, fleet: Fleet, in_flight: int, old: float) -> bool:
    """Print a line, and return whether all aims are met."""
    limits, size = make_limits(in_flight), len(fleet.phones)
    night = Night(fleet, limits)
    waves, rolling = waves_seconds(fleet, in_flight), night.run()
    work, longest = work_seconds(fleet, limits), longest_seconds(fleet, limits)
    bound, errors = max(work, longest), night.errors()
    most = min(work + longest, 1.1 * bound if work >= 3 * longest else work + longest)
    times = not old or (size, in_flight) not in FOUR_TIMES or waves >= 4 * rolling
    met = not night.problem and rolling <= most and times and all(map(float.__le__, errors, ALLOWED))
    hours = "".join(f"{seconds / HOUR:9.2f}" for seconds in (waves, rolling, bound, most))
    shown = " ".join(f"{error:4.0%}" for error in errors)
    ratios = f"{rolling / bound:8.2f}{waves / rolling:8.1f}"
    print(
        f"{title:<7}{size:7}{in_flight:7}{hours}{ratios}  {shown}  {'' if met else 'MISSED'} {night.problem}",
        flush=True,
    )
    return met


def pilots(title: str, fleet: Fleet, in_flight: int) -> None:
    """Print the hours without a pilot, and with one before or beside the others."""
    size = max(20, in_flight // 10)
    plain = Night(fleet, make_limits(in_flight)).run()
    before = Night(fleet, make_limits(in_flight), pilot_size=size).run()
    overlap = Night(fleet, make_limits(in_flight, overlap=True), pilot_size=size).run()
    hours = "".join(f"{seconds / HOUR:9.2f}" for seconds in (plain, before, overlap))
    print(f"{title:<7}{len(fleet.phones):7}{in_flight:7}{size:7}{hours}", flush=True)


def main() -> None:
    """Print both tables."""
    small = "--small" in sys.argv[1:]
    sizes, places = ((1000,), (50, 200)) if small else ((5000, 40_000), (250, 1000, 2500))
    met = True
    print("fleet   phones places    waves  rolling    bound  at most /bound  faster  estimate at 10, 50, 90 %")
    for title, old in (("mixed", OLD), ("today", 0.0)):
        for size in sizes:
            fleet = make_fleet(size, old)
            for in_flight in places:
                met &= compare(title, fleet, in_flight, old)
    print("fleet   phones places  pilot     none   before  overlap")
    for size, in_flight in ((1000, 50),) if small else ((5000, 250), (40_000, 2500)):
        pilots("mixed", make_fleet(size, OLD), in_flight)
    sys.exit(not met)


if __name__ == "__main__":
    main()
