# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Device names as people write them, and the devices that can have an LSC (P53)."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path
from typing import Any

import pytest

from capf import device_names
from capf.administration import new_node
from capf.model import InvalidRequestError
from capf.phone_session.effects import Cause, Granted, Refused
from capf.phone_session.verify import names_device
from capf.registry import phones
from capf_lab import csvfile
from support.identity import certificate_named
from support.inprocess import InProcess
from support.lists import LISTS
from support.record import Record
from support.requesting import ADMINISTRATOR, PASSWORD

A, B, C = "SEP0011AA000001", "SEP0011AA000002", "SEP0011AA000003"


def listed(name: str) -> list[str]:
    """Return the device names of a list as they are written there."""
    with (LISTS / f"{name}.csv").open(newline="") as handle:
        return [row["device_name"] for row in csv.DictReader(handle)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *zip(listed("lower"), (A, B), strict=True),
        *zip(listed("bare")[:3], (A, B, C), strict=True),
        ("SEP 0011 AA00 0001", A),
        ("ata-00-11-aa-00-00-01", "ATA0011AA000001"),
        ("sep_0011_aa00_0001", A),
        ("'SEP0011AA000001", A),
        ("SEP/0011AA000001", A),
        ("00\u201311\u2013AA\u201300\u201300\u201301", A),
        ("SEP0011AA000001\u200b", A),
        ("ata11aa00000101", "ATA11AA00000101"),
        ("csfuser9", "CSFuser9"),
        ("CSFuser9", "CSFuser9"),
    ],
)
def test_p53_a_name_that_means_one_device_is_read_as_it(text: str, name: str) -> None:
    assert device_names.read(text) == name


@pytest.mark.parametrize(
    "text", ["1.1E+11", "SEP0011AA00001", "1122334455", "SEP0011AA0000012", "", "SEPx", "\uff33EP0011AA000001"]
)
def test_p53_a_name_that_is_not_clear_stays_as_it_is(text: str) -> None:
    assert device_names.read(text) == text
    assert device_names.meant(text) is None


def test_p53_what_was_read_in_another_way_is_noted() -> None:
    names = [device_names.read(text) for text in (*listed("lower"), C)]
    assert device_names.notes(names) == [
        "device names were read as they are meant: 'sep0011aa000001' as SEP0011AA000001,"
        " 'SEP0011aa000002' as SEP0011AA000002"
    ]
    assert device_names.notes([A, B]) == []


NOT_SUPPORTED = {
    "CSFJOHN.DOE@EXAMPLE.COM": "a device name has no '@'",
    "AN11AA0000010000": "the ports of analog gateways cannot have an LSC",
    "VGC11AA00000100": "the ports of analog gateways cannot have an LSC",
    "CIPCUSER1": "other devices cannot have an LSC",
    "SIPTRUNK": "other devices cannot have an LSC",
}


def test_p53_other_devices_are_refused_with_the_reason() -> None:
    names = [device_names.read(text) for text in listed("types")]
    refused = {problem.value: problem.message for problem in phones.name_problems(names, "phones[{}]")}
    assert refused.keys() == NOT_SUPPORTED.keys()
    for name, why in NOT_SUPPORTED.items():
        assert why in refused[name]
    (number,) = phones.name_problems(["1.1E+11"], "phones[{}]")
    assert "a spreadsheet has written a MAC address as a number: format the column as text" in number.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("SEP0011AA00000O", "a character that is not a hexadecimal digit; did you mean SEP0011AA000000?"),
        ("SEP0011AA000001.cnf.xml", "more than a MAC address; did you mean SEP0011AA000001?"),
        ("SEP0011AA000001 (lobby)", "more than a MAC address; did you mean SEP0011AA000001?"),
        ("SEP\uff10\uff10\uff11\uff11AA000001", "did you mean SEP0011AA000001?"),
        ("1122334455", "this has 10; if a spreadsheet has dropped its zeros, give SEP001122334455"),
        ("SEP0011AA00001", "a MAC address has 12 hexadecimal digits, and this has 11"),
        ("SEP0011AA00000X", "SEP is followed by 12 hexadecimal digits, 0 to 9 and A to F"),
        ("0x0011AA000001", "did you mean SEP0011AA000001?"),
        ("XYZ0011AA000001", "other devices cannot have an LSC"),
        ("csf john", "did you mean CSFjohn?"),
        ("TAB", "a softphone's name has 1 to 50 letters, digits"),
        ("AALN/S1/SU0/0@gateway", "the ports of analog gateways cannot have an LSC"),
        ("S1/DS1-0@gateway", "the ports of analog gateways cannot have an LSC"),
    ],
)
def test_p53_a_wrong_name_is_refused_with_the_right_spelling_or_the_reason(text: str, why: str) -> None:
    (problem,) = phones.name_problems([device_names.read(text)], "phones[{}]")
    assert why in problem.message


def test_p53_every_route_that_takes_phones_notes_what_it_read_in_another_way(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    new_node.initialise(new_node.NewNode(directory, ADMINISTRATOR, PASSWORD, ["localhost"]), 1.7e9)
    written = ["sep0011aa000001"]
    listed = {"phones": [{"device_name": written[0]}]}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/phones", listed),
        ("POST", "/phones/import", listed),
        ("POST", "/operations", {"operation": "Install/Upgrade", "phones": written}),
        ("POST", "/operations/wait", {"phones": written, "timeout": 0}),
        ("POST", "/phones/unlock", {"phones": written}),
        ("POST", "/preflight", {"phones": written}),
        ("POST", "/nodes/publish", {"phones": written, "dry_run": True}),
        ("PUT", "/rollouts/night", {"runner": "run-1", "names": written, "dry_run": True}),
    ]

    async def ask() -> dict[str, Any]:
        node = await InProcess(directory).begin()
        try:
            answers = {path: (await node.ask(method, path, body)).json for method, path, body in requests}
        finally:
            await node.close()
        return {path: answer.get("plan", answer).get("warnings", answer) for path, answer in answers.items()}

    note = f"device names were read as they are meant: '{written[0]}' as {A}"
    assert {path: warnings for path, warnings in asyncio.run(ask()).items() if note not in warnings} == {}


def test_p53_the_lab_reads_names_in_the_same_way() -> None:
    assert [row.device_name for row in csvfile.read(LISTS / "lower.csv")] == [A, B]
    with pytest.raises(csvfile.CsvError, match=r"line 5 device_name: '1\.1E\+11' is refused: a spreadsheet"):
        csvfile.read(LISTS / "bare.csv")


def test_p53_a_softphone_is_registered_in_one_case_only(record: Record) -> None:
    record.add("CSFjohn.doe")
    record.add("CSFjohn.doe", description="again")
    with pytest.raises(InvalidRequestError, match=r"CSFJOHN\.DOE is registered as CSFjohn\.doe; use that name"):
        record.add("CSFJOHN.DOE")
    (twice,) = phones.name_problems(["TABx", "TABX"], "phones[{}]")
    assert "TABX is listed twice, first as phones[0]" in twice.message


@pytest.mark.parametrize(
    ("name", "sent"), [("CSFjohn.doe", "CSFJOHN.DOE"), ("CSFjohn.doe", "csfjohn.doe"), (A, A.lower())]
)
def test_p53_a_session_knows_a_device_in_any_case(record: Record, name: str, sent: str) -> None:
    record.add(name)
    record.plan(name)
    assert isinstance(record.claim(sent), Granted)


def test_p53_a_device_that_is_not_registered_stays_unknown(record: Record) -> None:
    record.add("CSFjohn.doe")
    for name in ("CSFjohn", "TABjohn.doe", "sep0011aa000001", "CSF%"):
        decision = record.claim(name)
        assert isinstance(decision, Refused) and decision.cause is Cause.UNKNOWN_DEVICE


def test_p53_a_mic_may_have_its_name_in_lower_case() -> None:
    assert names_device(certificate_named("CP-8845-sep0011aa000001"), A, is_lsc=False)
    assert not names_device(certificate_named("CP-8845-sep0011aa000001"), B, is_lsc=False)
    assert not names_device(certificate_named("CP-8845-sep0011aa000001"), A, is_lsc=True)
