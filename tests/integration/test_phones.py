# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulated phones against a real server: every authentication mode and every kind of fault."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from capf.model import KeySpec
from capf_lab.manufacturing import Maker
from integration.conftest import MakeWorld
from support.waiting import until

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"
STRING, NULL = "By Authentication String", "By Null String"
LSC, MIC = "By Existing Certificate (precedence to LSC)", "By Existing Certificate (precedence to MIC)"


def phone(name: str = A, **settings: Any) -> dict[str, Any]:
    """Return a phone, by default with null string and a quick key."""
    return {"device_name": name, "authentication_mode": NULL, "key_order": "EC Only", "ec_key_size": 256, **settings}


@pytest.mark.parametrize("mode", [NULL, LSC, MIC])
def test_r1_each_mode_installs_an_lsc(make_world: MakeWorld, mode: str) -> None:
    node, lab = make_world([phone(mic=True, authentication_mode=mode)])
    for _round in range(2):
        node.schedule(A, force=True)
        lab.reset(A)
        assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    assert lab.flash(A).has_lsc


def test_r1_r31_a_string_is_entered_by_the_menus(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(authentication_mode=STRING)])
    node.schedule(A)
    lab.reset(A)
    lab.until(A, "enter the authentication string")
    string = node.phone(A)["authentication_string"]
    way = ("Settings", "**#", "Security Configuration", "LSC", "Update")
    assert lab.press(A, *way[:1], *way[2:], *string, "Submit") == "LSC (locked): enter the authentication string"
    assert lab.press(A, *way, *string[:2]) == "Authentication String: **"
    assert lab.press(A, *way, *string, "Submit").startswith("LSC: ")
    assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    assert node.phone(A)["authentication_string"] == ""


def test_r14_a_wrong_string_fails_and_no_certificate_is_made(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(authentication_mode=STRING)])
    node.schedule(A)
    lab.reset(A)
    lab.until(A, "enter the authentication string")
    lab.press(A, "Settings", "**#", "Security Configuration", "LSC", "Update", *"0000", "Submit")
    lab.until(A, "refused by CAPF")
    assert node.refused(A) == ["Upgrade Failed: Invalid Authentication String"]
    assert not lab.flash(A).has_lsc


def test_r32_the_phone_shows_whether_an_lsc_is_installed(make_world: MakeWorld) -> None:
    node, lab = make_world([phone()])
    assert lab.press(A, "Settings", "Model Information") == "LSC: Not Installed"
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    assert lab.press(A, "Settings", "Model Information") == "LSC: Installed"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"key_order": "RSA Only", "key_size": 1024}, KeySpec(ec=False, bits=1024)),
        ({"key_order": "RSA Only", "key_size": 3072}, KeySpec(ec=False, bits=3072)),
        ({"key_order": "EC Only", "ec_key_size": 384}, KeySpec(ec=True, bits=384)),
        ({"key_order": "EC Only", "ec_key_size": 521}, KeySpec(ec=True, bits=521)),
        ({"key_order": "EC Preferred, RSA Backup", "ec_key_size": 256}, KeySpec(ec=True, bits=256)),
    ],
)
def test_r4_the_lsc_is_for_the_phones_own_key(make_world: MakeWorld, settings: dict[str, Any], key: KeySpec) -> None:
    node, lab = make_world([phone(**settings)])
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    held = lab.flash(A).lsc
    assert held is not None and held.certificate.public_key() == held.key.public_key()
    shown = node.phone(A)
    assert shown["lsc_key"] == str(key)
    assert shown["lsc_serial_number"] == f"{held.certificate.serial_number:032x}"


def test_r2_upgrade_troubleshoot_and_delete(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(mic=True)])
    serials = []
    for _round in range(2):
        node.schedule(A, force=True)
        lab.reset(A)
        node.wait(A)
        serials.append(node.phone(A)["lsc_serial_number"])
    assert serials[0] != serials[1]
    node.schedule(A, operation="Troubleshoot")
    lab.reset(A)
    assert node.wait(A)["by_status"] == {"Troubleshoot Success": 1}
    assert sorted(path.name for path in (node.state / "trace").glob("SEP*")) == [f"{A}-LSC.txt", f"{A}-MIC.txt"]
    node.schedule(A, operation="Delete")
    lab.reset(A)
    assert node.wait(A)["by_status"] == {"Delete Success": 1}
    assert not lab.flash(A).has_lsc
    assert node.phone(A)["lsc"] == "Not Installed"


def test_a_softphone_speaks_version_2(make_world: MakeWorld) -> None:
    node, lab = make_world([phone("CSFjdoe", key_order="RSA Only", key_size=1024)])
    node.schedule("CSFjdoe")
    lab.reset("CSFjdoe")
    assert node.wait("CSFjdoe")["by_status"] == {"Upgrade Success": 1}


def test_r9_r10_a_phone_tells_in_which_order_it_came_up(make_world: MakeWorld) -> None:
    secure = phone(B, mic=True, device_security_mode="Authenticated", security_profile="8845 - Secure")
    node, lab = make_world([phone(A), secure])
    node.ok("PUT", "/ctl-file", {})
    for name in (A, B):
        lab.flash(name).delete_ctl()
    node.schedule(A, B)
    lab.reset(A, B)
    assert node.wait(A, B)["by_status"] == {"Upgrade Success": 2}
    files = ["CTL file by HTTP", "configuration by HTTP"]
    assert lab.until(A, "LSC installed")["steps"] == [*files, "registered, non-secure", "LSC installed"]
    assert lab.until(B, "LSC installed")["steps"] == [*files, "LSC installed", "registered, authenticated"]


def test_r5_a_lost_connection_is_tried_again(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(lab_behaviour="lossy")])
    node.schedule(A)
    lab.reset(A)
    assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    assert lab.until(A, "LSC installed")["attempts"] == 2


def test_r5_the_phone_tries_three_more_times(make_world: MakeWorld) -> None:
    node, lab = make_world([phone()])
    node.schedule(A)
    node.ok("PUT", "/service", {"activated": False})
    lab.reset(A)
    assert lab.until(A, "CAPF cannot be reached")["attempts"] == 4


def test_r6_after_a_power_failure_the_settings_in_flash_are_used(make_world: MakeWorld) -> None:
    node, lab = make_world([phone()])
    node.schedule(A)
    node.ok("PUT", "/service", {"activated": False})
    lab.reset(A)
    lab.until(A, "pending")
    assert lab.flash(A).unfinished is not None
    lab.stop()
    node.ok("PUT", "/service", {"activated": True})
    files = node.files_port
    node.files_port = 1
    lab.start(node)
    node.files_port = files
    lab.reset(A)
    assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    lab.until(A, "LSC installed")
    assert lab.flash(A).unfinished is None


def test_r7_stop_on_the_phone_ends_the_operation_as_what_it_is(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(mic=True, authentication_mode=MIC)], "--key-generation-seconds", "20-20")
    node.schedule(A)
    lab.reset(A)
    until(lambda: "event=claim" in node.log.read_text(), 20)
    lab.press(A, "Stop")
    failed = node.wait(A)["failed"]
    assert failed == [{"device_name": A, "status": "Upgrade Failed", "problem": "aborted by the phone user"}]
    assert lab.until(A, "stopped")["lsc"] is False


def test_r8_the_session_stays_open_while_the_phone_makes_its_key(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(lab_behaviour="slow")])
    node.schedule(A)
    lab.reset(A)
    lab.until(A, "pending")
    until(lambda: node.ok("GET", "/service")["sessions_open"] == 1)
    assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    assert lab.until(A, "LSC installed")["attempts"] == 1


def test_r9_a_non_secure_phone_registers_first_and_fails_without_certificate(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(authentication_mode=LSC), phone(B, authentication_mode=MIC)])
    node.schedule(A, B)
    lab.reset(A, B)
    assert node.refused(A, B) == ["Upgrade Failed: Invalid LSC", "Upgrade Failed: Invalid MIC"]
    assert lab.until(A, "refused by CAPF")["registration"] == "registered, non-secure"


def test_r10_a_secure_phone_registers_after_its_lsc(make_world: MakeWorld) -> None:
    node, lab = make_world(
        [phone(device_security_mode="Encrypted"), phone(B, device_security_mode="Authenticated")],
        "--key-generation-seconds",
        "1-1",
    )
    node.schedule(A, B)
    lab.reset(A, B)
    lab.until(A, "pending")
    assert lab.shows(A)["registration"] == "not registered"
    node.wait(A, B)
    assert lab.until(A, "LSC installed")["registration"] == "registered, encrypted"
    assert lab.until(B, "LSC installed")["registration"] == "registered, authenticated"


def test_r18_an_outage_of_the_first_node_loses_nothing(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(), phone(B)], "--key-generation-seconds", "2-2", "--retry-seconds", "2")
    node.schedule(A, B)
    lab.reset(A, B)
    lab.until(A, "pending")
    node.stop(signal.SIGKILL)
    node.start()
    assert node.wait(A, B)["by_status"] == {"Upgrade Success": 2}
    for name in (A, B):
        held = lab.flash(name).lsc
        assert held is not None
        assert node.phone(name)["lsc_serial_number"] == f"{held.certificate.serial_number:032x}"


def test_r33_without_the_capf_certificate_in_the_ctl_file_that_is_named(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(authentication_mode=STRING)])
    node.schedule(A)
    lab.flash(A).delete_ctl()
    lab.reset(A)
    lab.until(A, "CAPF is not possible: no CAPF certificate in the CTL file")


def test_r33_a_phone_that_is_not_registered_cannot_take_a_string(make_world: MakeWorld) -> None:
    node, lab = make_world([phone(device_security_mode="Encrypted")])
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    node.schedule(A, force=True, authentication_mode=STRING)
    lab.reset(A)
    lab.until(A, "CAPF is not possible: the device is not registered")


def test_a_capf_that_the_ctl_file_does_not_list_gets_nothing(make_world: MakeWorld, tmp_path: Path) -> None:
    node, lab = make_world([phone()])
    token = Maker.open_or_make(tmp_path / "token", "Stranger")
    lab.flash(A).store_ctl(token.make_ctl([token.certificate]))
    node.schedule(A)
    lab.reset(A)
    lab.until(A, "CAPF cannot be reached")
    assert node.phone(A)["operation_status"] == "Operation Pending"


def test_nothing_pending_needs_no_session(make_world: MakeWorld) -> None:
    _node, lab = make_world([phone()])
    lab.reset(A)
    assert lab.until(A, "ready")["attempts"] == 0
