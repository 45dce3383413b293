# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The choice of the guest that makes room, compared with a naive implementation (P32)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from capf.network.line import Line


@dataclass(frozen=True)
class Guest:
    """A guest by its number."""

    number: int
    address: str


steps = st.lists(st.tuples(st.sampled_from(["add", "discard"]), st.integers(0, 9)), max_size=60)


@given(steps)
def test_p32_the_first_of_the_address_that_has_most_makes_room(steps: list[tuple[str, int]]) -> None:
    guests = [Guest(number, f"192.0.2.{number % 3}") for number in range(10)]
    line: Line[Guest] = Line()
    there: list[Guest] = []
    for step, number in steps:
        guest = guests[number]
        there = [item for item in there if item != guest]
        if step == "add":
            there.append(guest)
            line.add(guest)
        else:
            line.discard(guest)
        shares = Counter(item.address for item in there)
        assert len(line) == len(there)
        assert {item.address: line.share(item.address) for item in guests} == {
            item.address: shares[item.address] for item in guests
        }
        for address in {item.address for item in guests}:
            assert line.first(address) == next((item for item in there if item.address == address), None)
        chosen = line.first()
        assert (chosen is None) == (not there)
        if chosen is not None:
            assert shares[chosen.address] == max(shares.values())
            assert chosen == next(item for item in there if item.address == chosen.address)
    for guest in guests:
        line.discard(guest)
    assert vars(line)["_guests"] == vars(line)["_by_size"] == {}
