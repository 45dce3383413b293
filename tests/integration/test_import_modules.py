# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Importing the database of capfd and reports of an earlier CAPF by module, on real servers (R23)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from capf.phone_session.wire import Command
from capf_lab.credentials import MODE_LSC_FIRST
from capf_lab.flash import Flash, Identity
from support.canary import STRING
from support.client import Client
from support.identity import Manufacturer
from support.node import RunningNode
from support.plays import play, rhythm

A, B, C, D = (f"SEP00000000000{letter}" for letter in "ABCD")
MODULE = "ucm.capf.phone_import"
LSC_FIRST = "By Existing Certificate (precedence to LSC)"
_TABLE = (
    "CREATE TABLE devices (device_name TEXT PRIMARY KEY, operation TEXT NOT NULL, authentication TEXT, password TEXT, "
    "key_size INTEGER, curve_name TEXT, certificate TEXT, serial_number TEXT, not_valid_before TEXT, "
    "not_valid_after TEXT) WITHOUT ROWID"
)
_COLUMNS = ("device_name", "operation", "authentication", "password", "key_size", "curve_name", "certificate",
            "serial_number", "not_valid_before", "not_valid_after")  # fmt: skip


def capfd(path: Path, *devices: dict[str, Any]) -> str:
    """Write a database as capfd does; return its path."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(_TABLE)
        values = [[{"operation": "none", **device}.get(name) for name in _COLUMNS] for device in devices]
        database.executemany(f"INSERT INTO devices VALUES ({', '.join('?' * len(_COLUMNS))})", values)
    return str(path)


def held(identity: Identity) -> dict[str, Any]:
    """Return the columns of a certificate, as capfd writes them."""
    certificate = identity.certificate
    serial = certificate.serial_number
    return {
        "certificate": certificate.public_bytes(Encoding.PEM),
        "serial_number": serial.to_bytes((serial.bit_length() + 7) // 8, "big").hex(),
        "not_valid_before": certificate.not_valid_before_utc.strftime("%Y-%m-%d %H:%M:%S"),
        "not_valid_after": certificate.not_valid_after_utc.strftime("%Y-%m-%d %H:%M:%S"),
    }


@pytest.fixture
def earlier(tmp_path: Path) -> Manufacturer:
    """An earlier CAPF that signs as capfd does, without key identifiers in its LSCs."""
    return Manufacturer(tmp_path, "Earlier CAPF")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node for imports that are refused, and for reports."""
    running = RunningNode(tmp_path_factory.mktemp("import") / "node").start()
    yield running
    running.stop()


def test_r23_the_database_of_capfd_is_imported(node: RunningNode, tmp_path: Path, earlier: Manufacturer) -> None:
    lsc, mic = earlier.sign(B), earlier.sign(f"CP-8845-{D}")
    curve = {"authentication": "No Password", "curve_name": "secp256r1"}
    database = capfd(
        tmp_path / "capf.sqlite3",
        {"device_name": A, "operation": "install", "authentication": "password", "password": STRING, "key_size": 3072},
        {"device_name": B, "operation": "DELETE", **curve, **held(lsc)},
        {"device_name": C, "authentication": "Certificate", "key_size": 2048},
        {"device_name": D, "password": STRING, "key_size": 2048, **held(mic)},
    )
    task = {MODULE: {"capfd_database": database}, "diff": True}
    (check, real, again), output = play(node, {**task, "check_mode": True}, task, task, options=("-vvv",))
    assert check["changed"] and real["changed"] and not again["changed"], (check, real, again)
    assert check["diff"] == real["diff"] and check["counts"] == real["counts"]
    assert real["counts"] == {
        "created": 4,
        "certificates": 1,
        "operations": 2,
        "unchanged": 0,
        "conflicts": 0,
        "not_taken": 0,
    }
    assert again["counts"]["unchanged"] == 4 and again["conflicts"] == []
    assert STRING not in output and STRING not in node.log.read_text()
    assert all(STRING.encode() not in path.read_bytes() for path in node.state.glob("capf.db*"))
    shown = {name: node.phone(name) for name in (A, B, C, D)}
    assert shown[A]["authentication_string"] == STRING and shown[A]["key_size"] == 3072
    assert (shown[A]["certificate_operation"], shown[B]["certificate_operation"]) == ("Install/Upgrade", "Delete")
    assert (shown[B]["key_order"], shown[B]["ec_key_size"], shown[B]["lsc"]) == ("EC Only", 256, "Installed")
    assert shown[B]["lsc_serial_number"] == f"{lsc.certificate.serial_number:032x}"
    assert "CN=Earlier CAPF" in shown[B]["lsc_issued_by"]
    assert shown[C]["authentication_mode"] == LSC_FIRST and shown[C]["lsc"] == "Not Installed"
    assert shown[D]["mic"] and shown[D]["authentication_mode"] == "By Authentication String"
    assert shown[D]["certificate_operation"] == "No Pending Operation" and not shown[D]["authentication_string"]
    planned = node.schedule(B, force=False, dry_run=True)
    assert planned["results"][0]["reason"] == "LSC of another issuer"


def test_r23_an_lsc_of_the_earlier_capf_authenticates_while_it_is_trusted(
    node: RunningNode, tmp_path: Path, earlier: Manufacturer
) -> None:
    lsc = earlier.sign(A)
    device = {"device_name": A, "authentication": "certificate", "curve_name": "secp256r1"}
    database = capfd(tmp_path / "capf.sqlite3", {**device, **held(lsc)})
    node.activate()
    (done,), output = play(node, {MODULE: {"capfd_database": database}})
    assert done["counts"]["certificates"] == 1 and "is not trusted here" in output
    flash = Flash(tmp_path / "flash")
    flash.store_lsc(lsc)
    trust = {"state": "present", "certificates": [earlier.ca.read_text()]}
    node.ok("PUT", "/capf-certificate/trusted", trust)
    node.schedule(A)
    names = [item["common_name"] for item in node.ok("GET", "/capf-certificate")["trusted"]]
    node.ok("PUT", "/capf-certificate/trusted", {"state": "absent", "names": names, "force": True})
    assert Client(node.capf_port, A).prove(flash, MODE_LSC_FIRST).command is Command.END_SESSION
    assert node.refused(A) == ["Upgrade Failed: Invalid LSC"]
    node.ok("PUT", "/capf-certificate/trusted", trust)
    client = Client(node.capf_port, A)
    assert client.prove(flash, MODE_LSC_FIRST).command is Command.KEY_GENERATE_REQUEST
    client.send_key()
    client.confirm()
    client.close()
    assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    assert "CN=CAPF-" in node.phone(A)["lsc_issued_by"]


def test_r23_a_report_of_capf_is_imported(shared: RunningNode, tmp_path: Path) -> None:
    phones = [
        {"device_name": A, "description": "=1+1", "device_pool": "Berlin", "authentication_mode": LSC_FIRST},
        {"device_name": B, "device_security_mode": "Encrypted", "authentication_mode": "By Null String"},
        {"device_name": C, "authentication_mode": "By Authentication String"},
    ]
    shared.ok("POST", "/phones", {"phones": phones})
    item = {"device_name": C, "authentication_string": STRING}
    install = {"operation": "Install/Upgrade", "items": [item], "completes_by": "2090-01-31T06:00"}
    shared.ok("POST", "/operations", install)
    before = {name: shared.phone(name) for name in (A, B, C)}
    report = str(tmp_path / "report.csv")
    play(shared, {"ucm.capf.report": {"dest": report}})
    (kept,), _output = play(shared, {MODULE: {"csv_file": report}})
    assert not kept["changed"] and kept["counts"]["unchanged"] == 3 and kept["conflicts"] == []
    shared.ok(
        "POST", "/phones", {"phones": [{"device_name": name} for name in (A, B, C)], "state": "absent", "confirm": 3}
    )
    rhythm(shared, MODULE, {"csv_file": report})
    assert {name: shared.phone(name) for name in (A, B, C)} == before


def test_r23_what_this_server_knows_already_stays(shared: RunningNode, tmp_path: Path) -> None:
    shared.ok("POST", "/phones", {"phones": [{"device_name": D, "description": "Reception"}]})
    path = tmp_path / "phones.csv"
    path.write_text(f"device_name,description,key_size,mic\n{D},Lobby,,true\n")
    (result,), _output = play(shared, {MODULE: {"csv_file": str(path)}, "diff": True})
    assert not result["changed"] and result["counts"]["conflicts"] == 2
    assert result["conflicts"] == [
        {"device_name": D, "field": "description", "here": "Reception", "imported": "Lobby"},
        {"device_name": D, "field": "mic", "here": "False", "imported": "True"},
    ]
    assert shared.phone(D)["description"] == "Reception"


def test_r23_an_import_is_all_or_nothing(shared: RunningNode, tmp_path: Path, earlier: Manufacturer) -> None:
    new = "SEP0000000000E0"
    before = shared.ok("POST", "/phones/find", {})["total"]
    good = {"device_name": new}
    bad = {
        "operation": ({"device_name": A, "operation": "explode"}, f"device {A} operation: 'explode' is refused"),
        "certificate": ({"device_name": A, **held(earlier.sign(B))}, f"device {A} certificate"),
        "string": (
            {"device_name": new[:-1] + "1", "operation": "install", "authentication": "password", "password": "abcd"},
            f"device {new[:-1]}1 authentication_string: an authentication string has 4 to 10 digits",
        ),
        "curve": ({"device_name": A, "curve_name": "secp112r1"}, f"device {A} curve_name: 'secp112r1' is refused"),
    }
    paths = {name: capfd(tmp_path / name, good, device) for name, (device, _said) in bad.items()}
    (tmp_path / "line.csv").write_text(f"device_name,operation\n{new},none\nphone,explode\n")
    (tmp_path / "column.csv").write_text(f"device_name,colour\n{new},red\n")
    (tmp_path / "junk").write_text("no database at all, and long enough to be looked at")
    tasks = [{MODULE: {"capfd_database": path, "strict": True}} for path in paths.values()]
    tasks += [{MODULE: {"csv_file": str(tmp_path / name)}} for name in ("line.csv", "column.csv")]
    tasks += [{MODULE: {"capfd_database": str(tmp_path / name)}} for name in ("junk", "missing")]
    results, _output = play(shared, *tasks)
    said = [said for _device, said in bad.values()]
    said += ["line.csv line 3 operation", "column.csv line 1: column 'colour' is unknown", "is not a capfd database"]
    for result, text in zip(results, [*said, "is not a capfd database"], strict=True):
        assert result["failed"] and text in result["msg"], (text, result)
    assert shared.ok("POST", "/phones/find", {})["total"] == before
