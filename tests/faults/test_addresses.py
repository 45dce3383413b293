# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""How phones reach CAPF between two network namespaces: the fifteen rows of Table 10-1, and Enable IPv6 (R11, R12)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.lab import RunningLab, write_phones
from support.namespaces import (
    CAPF_NAME,
    FILES_NAME,
    PHONES_IPV4,
    PHONES_IPV6,
    SERVER_IPV4,
    SERVER_IPV6,
    Namespaces,
)
from support.node import RunningNode

IPV4, IPV6, DUAL = 0, 1, 2
ADDRESSES = {"4": "ipv4", "6": "ipv6", "46": "both"}
NOWHERE = "CAPF cannot be reached"


@dataclass(frozen=True)
class Row:
    """One row of the table: the phone's IP mode, the addresses on it, those of CAPF, and the families it can use."""

    mode: int
    phone: str
    capf: str
    connects: str

    @property
    def name(self) -> str:
        """The phone of this row."""
        return f"SEP0000000000{TABLE_10_1.index(self):02X}"


TABLE_10_1 = [
    Row(DUAL, "46", "46", "64"),
    Row(DUAL, "4", "46", "4"),
    Row(DUAL, "6", "46", "64"),
    Row(DUAL, "4", "4", "4"),
    Row(DUAL, "46", "6", "6"),
    Row(DUAL, "46", "4", "4"),
    Row(DUAL, "4", "6", ""),
    Row(DUAL, "6", "4", ""),
    Row(DUAL, "6", "6", "6"),
    Row(IPV4, "4", "46", "4"),
    Row(IPV6, "6", "46", "6"),
    Row(IPV4, "4", "4", "4"),
    Row(IPV4, "4", "6", ""),
    Row(IPV6, "6", "6", "6"),
    Row(IPV6, "6", "4", ""),
]
PEERS = {"4": PHONES_IPV4, "6": PHONES_IPV6}


class World:
    """A server in one namespace, and in the other a phone for each row, its IP mode in its own configuration file."""

    def __init__(self, namespaces: Namespaces, directory: Path) -> None:
        self.namespaces = namespaces
        settings = {"authentication_mode": "By Null String", "key_order": "EC Only", "ec_key_size": 256}
        self.phones = [{"device_name": row.name, **settings} for row in TABLE_10_1]
        lab_phones = [{"device_name": row.name, "lab_addresses": ADDRESSES[row.phone]} for row in TABLE_10_1]
        self.lab = RunningLab(directory / "lab", write_phones(directory / "phones.csv", lab_phones))
        self.lab.prefix = ("ip", "netns", "exec", namespaces.phones)
        self.node = RunningNode(directory / "node")
        self.node.installed = True  # a launched server would be in the launcher's namespace
        self.node.configure("server", node_name=CAPF_NAME)
        self.node.configure("capf", addresses=[SERVER_IPV4], addresses_ipv6=[SERVER_IPV6])
        self.node.configure("files", addresses=[SERVER_IPV4, SERVER_IPV6])
        own = self.node.state / "own"
        own.mkdir()
        for row in TABLE_10_1:
            text = f"<device>\n<!-- the site's -->\n<ipAddressMode>{row.mode}</ipAddressMode>\n</device>\n"
            (own / f"{row.name}.cnf.xml").write_text(text)

    def start(self, *, enable_ipv6: bool) -> None:
        """Start both sides."""
        with self.namespaces.inside(self.namespaces.servers):
            self.node.start()
            self.node.activate(**{"Enable IPv6": enable_ipv6})
            self.node.ok("POST", "/phones", {"phones": self.phones})
        with self.namespaces.inside(self.namespaces.phones):
            self.lab.start(self.node, "--files-server", f"http://{FILES_NAME}:{self.node.files_port}")

    def stop(self) -> None:
        """Stop both sides."""
        self.lab.stop()
        if self.node.process is not None:
            self.node.stop()

    def enable_ipv6(self, *, enabled: bool) -> None:
        """Set Enable IPv6 and apply it."""
        with self.namespaces.inside(self.namespaces.servers):
            self.node.ok("PUT", "/enterprise-parameters", {"parameters": {"Enable IPv6": enabled}})
            self.node.ok("POST", "/service/restart", {})

    def enrol(self, rows: list[Row], reached: list[Row]) -> None:
        """Schedule operations for the phones of ``rows``; only those of ``reached`` reach CAPF and complete them."""
        with self.namespaces.inside(self.namespaces.servers):
            self.node.schedule(*(row.name for row in rows), force=True)
        with self.namespaces.inside(self.namespaces.phones):
            self.lab.reset(*(row.name for row in rows))
            for row in rows:
                self.lab.until(row.name, "LSC installed" if row in reached else NOWHERE)
        with self.namespaces.inside(self.namespaces.servers):
            if reached:
                answer = self.node.wait(*(row.name for row in reached))
                assert answer["by_status"] == {"Upgrade Success": len(reached)}
            for row in rows:
                if row not in reached:
                    phone = self.node.phone(row.name)
                    assert phone["operation_status"] == "Operation Pending"

    def peers(self, row: Row) -> list[str]:
        """Return the addresses from which the phone of a row has connected, as seen by the server."""
        return re.findall(rf"event=claim peer=(\S+) device='{row.name}'", self.node.log.read_text())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A server and a lab that have not been started; the namespaces are always removed."""
    namespaces = Namespaces()
    made: World | None = None
    try:
        namespaces.make()
        made = World(namespaces, tmp_path)
        yield made
    finally:
        if made is not None:
            made.stop()
        namespaces.remove()


def test_p19_r12_phones_connect_as_the_fifteen_rows_of_table_10_1_say(world: World) -> None:
    assert len(set(TABLE_10_1)) == 15
    world.start(enable_ipv6=True)
    for capf in ("46", "4", "6"):
        world.namespaces.capf_has(capf)
        rows = [row for row in TABLE_10_1 if row.capf == capf]
        world.enrol(rows, [row for row in rows if row.connects])
    for row in TABLE_10_1:
        assert world.peers(row) == [PEERS[family] for family in row.connects[:1]], row


def test_p19_r11_ipv6_phones_are_rejected_while_enable_ipv6_is_false_and_dual_stack_phones_fall_back(
    world: World,
) -> None:
    world.start(enable_ipv6=False)
    rows = [row for row in TABLE_10_1 if row.capf == "46"]
    by_ipv4 = [row for row in rows if "4" in row.connects]
    world.enrol(rows, by_ipv4)
    for row in rows:
        assert world.peers(row) == ([PHONES_IPV4] if row in by_ipv4 else []), row
    rejected = [row for row in rows if row not in by_ipv4]
    assert [row.mode for row in rejected] == [IPV6]
    world.enable_ipv6(enabled=True)
    world.enrol(rejected, rejected)
    assert [world.peers(row) for row in rejected] == [[PHONES_IPV6]]
