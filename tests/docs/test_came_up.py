# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenario `cluster` finds phones that started in a wrong order or by wrong protocols."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

CLUSTER = Path(__file__).parents[2] / "extensions" / "molecule" / "cluster"
ROW = {"device_type": "Cisco 8845", "device_security_mode": "Non Secure", "lab_addresses": "both"}
PHONES = [
    {"device_name": "SEPA"} | ROW,
    {"device_name": "SEPB"} | ROW | {"device_security_mode": "Authenticated", "lab_addresses": "ipv4"},
    {"device_name": "SEPC"} | ROW | {"device_type": "Cisco 7960", "security_mode_after": "Encrypted"},
]
FILES, FILES_BY_TFTP = (["CTL file by HTTP", "configuration by HTTP"], ["CTL file by TFTP", "configuration by TFTP"])
STEPS = {
    "SEPA": [*FILES, "registered, non-secure", "LSC installed"],
    "SEPB": [*FILES, "LSC installed", "registered, authenticated"],
    "SEPC": [*FILES_BY_TFTP, "registered, encrypted"],
}
SESSIONS = {"SEPA": "fd89::21", "SEPB": "10.89.83.21", "SEPC": "fd89::21"}
REQUESTS = ["RRQ from 10.89.83.21 filename CTLSEPB.tlv", "RRQ from fd89::21 filename SEPC.cnf.xml"]


def look(
    directory: Path, steps: dict[str, list[str]], sessions: dict[str, str], requests: list[str]
) -> tuple[int, str]:
    """Return the exit status and the output of the script."""
    phones = directory / "phones.csv"
    with phones.open("w", newline="") as handle:
        columns = dict.fromkeys(name for phone in PHONES for name in phone)
        writer = csv.DictWriter(handle, list(columns), restval="")
        writer.writeheader()
        writer.writerows(PHONES)
    given = {
        "phones": {name: {"steps": done} for name, done in (STEPS | steps).items()},
        "sessions": [f"event=claim peer={peer} device='{name}' tls=" for name, peer in (SESSIONS | sessions).items()],
        "requests": requests,
    }
    argv: list[str | Path] = [sys.executable, CLUSTER / "came_up", phones]
    done = subprocess.run(argv, input=json.dumps(given), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_phones_that_came_up_as_they_have_to(tmp_path: Path) -> None:
    status, said = look(tmp_path, {}, {}, REQUESTS)
    assert status == 0 and "sessions: {'ipv6': 2, 'ipv4': 1}" in said and "all phones started" in said, said


@pytest.mark.parametrize(
    ("steps", "sessions", "requests", "said"),
    [
        ({"SEPA": STEPS["SEPB"]}, {}, REQUESTS, "SEPA: CTL file by HTTP, configuration by HTTP, LSC installed"),
        ({"SEPC": STEPS["SEPA"]}, {}, REQUESTS, "SEPC: CTL file by HTTP"),
        ({"SEPB": []}, {}, REQUESTS, "SEPB: ; wanted: CTL file by HTTP"),
        ({}, {"SEPA": "10.89.83.21"}, REQUESTS, "SEPA came to CAPF by ipv4; wanted: ipv6"),
        ({}, {"SEPB": "fd89::21"}, REQUESTS, "SEPB came to CAPF by ipv6; wanted: ipv4"),
        ({}, {}, [], "SEPC asked for its configuration over TFTP by set(); wanted: {'ipv6'}"),
        ({}, {}, [*REQUESTS, "RRQ from ::ffff:10.89.83.21 filename SEPC.cnf.xml"], "SEPC asked for its configuration"),
        ({}, {}, [*REQUESTS, "RRQ from fd89::21 filename SEPA.cnf.xml"], "SEPA asked for its configuration over TFTP"),
    ],
)
def test_phones_that_did_not(
    tmp_path: Path, steps: dict[str, list[str]], sessions: dict[str, str], requests: list[str], said: str
) -> None:
    status, output = look(tmp_path, steps, sessions, requests)
    assert status == 1 and said in output and "all phones started" not in output, output


def test_the_scenarios_phones_are_of_every_kind() -> None:
    with (CLUSTER / "phones.csv").open(newline="") as handle:
        phones = list(csv.DictReader(handle))
    assert len(phones) == 300
    kinds = {
        (p["device_security_mode"], p["lab_addresses"], p["device_type"] in ("Cisco 7940", "Cisco 7960"))
        for p in phones
    }
    assert len(kinds) == 3 * 3 * 2
    assert len({phone["authentication_mode"] for phone in phones}) == 4
