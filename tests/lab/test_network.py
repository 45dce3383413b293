# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a phone reaches CAPF: the fifteen rows of Table 10-1 (R12)."""

from __future__ import annotations

import pytest

from capf_lab.network import IpMode, PhoneAddresses, resolve, to_try

V4, V6 = "192.0.2.1", "2001:db8::1"
DUAL, ONLY4, ONLY6 = IpMode.DUAL, IpMode.IPV4, IpMode.IPV6
TABLE_10_1 = [
    (DUAL, "46", "46", [V6, V4]),
    (DUAL, "4", "46", [V4]),
    (DUAL, "6", "46", [V6, V4]),
    (DUAL, "4", "4", [V4]),
    (DUAL, "46", "6", [V6]),
    (DUAL, "46", "4", [V4]),
    (DUAL, "4", "6", []),
    (DUAL, "6", "4", []),
    (DUAL, "6", "6", [V6]),
    (ONLY4, "4", "46", [V4]),
    (ONLY6, "6", "46", [V6]),
    (ONLY4, "4", "4", [V4]),
    (ONLY4, "4", "6", []),
    (ONLY6, "6", "6", [V6]),
    (ONLY6, "6", "4", []),
]


@pytest.mark.parametrize(("mode", "phone", "capf", "tried"), TABLE_10_1)
def test_p19_r12_a_phone_connects_as_table_10_1_says(mode: IpMode, phone: str, capf: str, tried: list[str]) -> None:
    addresses = PhoneAddresses(mode, ipv4="4" in phone, ipv6="6" in phone)
    assert list(to_try(addresses, V4 if "4" in capf else None, V6 if "6" in capf else None)) == tried


async def test_addresses_and_names_are_resolved() -> None:
    assert await resolve(V4) == (V4, None)
    assert await resolve(V6) == (None, V6)
    assert (await resolve("localhost"))[0] == "127.0.0.1"
    assert await resolve("no-such-node.invalid") == (None, None)
