# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renewing the CAPF certificate in the safe order, and trusting issuers of MICs, by module and API (P30, R1, R3)."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from capf.certificates import ctl
from capf.certificates.authority import make_capf_certificate
from integration.conftest import MakeWorld
from support.node import RunningNode
from support.plays import play, rhythm

A, B = "SEP00000000000A", "SEP00000000000B"
LSC_FIRST = "By Existing Certificate (precedence to LSC)"
EC = {"key_order": "EC Only", "ec_key_size": 256}
MODULE = "ucm.capf.capf_certificate"
Token = tuple[rsa.RSAPrivateKey, x509.Certificate]


def certificates(node: RunningNode) -> dict[str, Any]:
    """Return the CAPF certificates."""
    return dict(node.ok("GET", "/capf-certificate"))


def token() -> Token:
    """Create a security token."""
    return make_capf_certificate(os.urandom, time.time(), "ucm.capf", "SAST")


def write_ctl(node: RunningNode, signer: Token, tokens: list[Token], *capf: str) -> None:
    """Publish a CTL file with these tokens and CAPF certificates (PEM)."""
    records = [ctl.Record(ctl.Role.SAST, item[1]) for item in tokens]
    records += [ctl.Record(ctl.Role.CAPF, x509.load_pem_x509_certificate(text.encode())) for text in capf]
    key, certificate = signer
    (node.state / ctl.FILE_NAME).write_bytes(ctl.make(records, certificate, key, int(time.time())))


def test_p30_r3_a_renewed_capf_issues_and_still_knows_the_lscs_of_the_old_one(make_world: MakeWorld) -> None:
    node, lab = make_world([{"device_name": A, "mic": True, "authentication_mode": LSC_FIRST, **EC}])
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    old = certificates(node)["current"]
    assert old["active_lscs"] == 1 and node.phone(A)["lsc_issued_by"].startswith(f"CN={old['common_name']}")
    _check, real, _again = rhythm(node, MODULE, {"state": "prepared", "replaces": old["common_name"]})
    assert real["after"]["next"] == "a new certificate"
    following = certificates(node)["next"]
    _check, real, _again = rhythm(node, MODULE, {"state": "active"})
    assert real["after"] == {"current": following["common_name"], "next": "none", "trusted": [old["common_name"]]}
    now = certificates(node)
    assert (now["current"]["pem"], now["next"], now["trusted"][0]["active_lscs"]) == (following["pem"], None, 1)
    for name in (*following["file_names"], "capf.crt"):
        assert (node.state / name).read_text() == following["pem"]
    (again,), _output = play(node, {MODULE: {"state": "prepared", "replaces": old["common_name"]}})
    assert not again["changed"]
    lab.stop()
    lab.start(node)
    assert node.schedule(A)["results"][0]["reason"] == "LSC of another issuer"
    lab.reset(A)
    assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    assert node.phone(A)["lsc_issued_by"].startswith(f"CN={following['common_name']}")
    verify: list[str | Path] = [
        "openssl",
        "verify",
        "-CAfile",
        node.capf_certificate,
        lab.directory / "phones" / A / "lsc.pem",
    ]
    subprocess.run(verify, check=True, capture_output=True)


def test_r3_the_next_certificate_waits_for_a_ctl_file_that_lists_it(node: RunningNode) -> None:
    first, second = token(), token()
    current = certificates(node)["current"]["pem"]
    write_ctl(node, first, [first, second], current)
    (early,), _output = play(node, {MODULE: {"state": "prepared"}})
    assert early["failed"] and certificates(node)["next"] is None, early
    play(node, {MODULE: {"state": "prepared", "force": True}})
    (refused,), _output = play(node, {MODULE: {"state": "active"}})
    assert refused["failed"] and "does not list" in refused["msg"]
    following = certificates(node)["next"]["pem"]
    third = token()
    write_ctl(node, third, [third, token()], current, following)
    (refused,), _output = play(node, {MODULE: {"state": "active"}})
    assert refused["failed"] and "never change CAPF and the tokens at the same time" in refused["msg"]
    write_ctl(node, second, [second, third], current, following)
    (done,), _output = play(node, {MODULE: {"state": "active"}})
    assert done["changed"] and certificates(node)["current"]["pem"] == following


def test_a_certificate_is_prepared_where_it_is_due_and_can_be_discarded(node: RunningNode) -> None:
    (early, other), _output = play(
        node, {MODULE: {"renew_before": 365}}, {MODULE: {"replaces": "CAPF-00000000"}}
    )  # fmt: skip
    assert not early["changed"] and not other["changed"] and not (node.state / "capf.next").exists()
    (due,), _output = play(node, {MODULE: {"renew_before": 7400}})
    assert due["changed"]
    assert (node.state / "capf.next").stat().st_mode & 0o777 == 0o600
    rhythm(node, MODULE, {"state": "discarded"})
    assert certificates(node)["next"] is None and not (node.state / "capf.next").exists()


def test_an_earlier_certificate_is_not_distrusted_while_phones_live_by_it(make_world: MakeWorld) -> None:
    node, lab = make_world([{"device_name": A, "authentication_mode": "By Null String", **EC}])
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    old = certificates(node)["current"]["common_name"]
    play(node, {MODULE: {"state": "prepared"}}, {MODULE: {"state": "active"}})
    (refused,), _output = play(node, {MODULE: {"state": "distrusted", "names": [old]}})
    assert refused["msg"] == f"1 phone with active LSCs of {old}: renew them first"
    assert [item["common_name"] for item in certificates(node)["trusted"]] == [old]
    rhythm(node, MODULE, {"state": "distrusted", "names": [old], "force": True})
    assert certificates(node)["trusted"] == []
    current = certificates(node)["current"]["common_name"]
    (refused,), _output = play(node, {MODULE: {"state": "distrusted", "names": [current]}})
    assert refused["failed"] and "is the current CAPF certificate; renew it first" in refused["msg"]
    (refused,), _output = play(node, {MODULE: {"state": "distrusted", "names": ["CAPF-00000000"]}})
    assert refused["failed"] and refused["problems"][0]["field"] == "names[0]"


def test_lscs_of_another_capf_are_trusted(node: RunningNode) -> None:
    _key, other = make_capf_certificate(os.urandom, time.time(), "Another", "CAPF")
    (node.directory / "other.pem").write_bytes(other.public_bytes(Encoding.PEM))
    rhythm(node, MODULE, {"state": "trusted", "files": ["other.pem"]})
    assert certificates(node)["trusted"][0]["pem"] == (node.directory / "other.pem").read_text()
    node.stop()
    node.start()
    assert len(certificates(node)["trusted"]) == 1


def test_capf_certificate_info_shows_what_the_server_shows(node: RunningNode) -> None:
    (result,), _output = play(node, {f"{MODULE}_info": {}})
    assert {name: result[name] for name in ("current", "next", "trusted")} == certificates(node)


@pytest.mark.parametrize("present", ["unfinished", "both"])
def test_p30_a_crash_while_the_next_certificate_is_activated_loses_nothing(node: RunningNode, present: str) -> None:
    """A crash leaves files behind at two points: before the rename, and between rename and publishing."""
    old = certificates(node)["current"]["pem"]
    node.ok("PUT", "/capf-certificate", {"state": "prepared"})
    following = certificates(node)["next"]["pem"]
    node.stop()
    (node.state / "trusted" / "00.pem").write_text(old)
    if present == "unfinished":
        (node.state / "capf.next.new").write_text("half a k")
    else:
        (node.state / "capf.next").rename(node.state / "capf.key")
    node.start()
    now = certificates(node)
    assert now["current"]["pem"] == (old if present == "unfinished" else following)
    assert node.capf_certificate.read_text() == now["current"]["pem"]
    assert [item["pem"] for item in now["trusted"]] == ([] if present == "unfinished" else [old])
    node.ok("PUT", "/capf-certificate", {"state": "active"})
    assert certificates(node)["current"]["pem"] == following


def test_r1_manufacturing_cas_are_kept_as_wanted(node: RunningNode, tmp_path: Path) -> None:
    texts = [
        make_capf_certificate(os.urandom, time.time(), "Maker", "CA")[1].public_bytes(Encoding.PEM).decode()
        for _index in range(3)
    ]
    (tmp_path / "two.pem").write_text(texts[0] + texts[1])
    module = "ucm.capf.manufacturing_ca"
    _check, real, _again = rhythm(node, module, {"files": [str(tmp_path / "two.pem")]})
    assert (len(real["before"]), len(real["after"])) == (0, 2)
    rhythm(node, module, {"certificates": [texts[2], texts[0]], "state": "exact"})
    rhythm(node, module, {"certificates": [texts[2]], "state": "absent"})
    assert [item["pem"] for item in node.ok("GET", "/manufacturing-cas")["trusted"]] == [texts[0]]
    (info,), _output = play(node, {f"{module}_info": {}})
    assert [item["pem"] for item in info["trusted"]] == [texts[0]]
    node.stop()
    node.start()
    assert len(node.ok("GET", "/manufacturing-cas")["trusted"]) == 1


def test_r1_a_trusted_manufacturing_ca_is_in_force_at_once(make_world: MakeWorld) -> None:
    mode = "By Existing Certificate (precedence to MIC)"
    node, lab = make_world([{"device_name": name, "mic": True, "authentication_mode": mode, **EC} for name in (A, B)])
    trusted = node.ok("GET", "/manufacturing-cas")["trusted"][0]["pem"]
    node.schedule(A, B)
    node.ok("PUT", "/manufacturing-cas", {"certificates": [trusted], "state": "absent"})
    lab.reset(A)
    assert node.refused(A) == ["Upgrade Failed: Invalid MIC"]
    node.ok("PUT", "/manufacturing-cas", {"certificates": [trusted]})
    lab.reset(B)
    assert node.wait(B)["by_status"] == {"Upgrade Success": 1}


def test_r1_what_is_no_ca_certificate_is_named(node: RunningNode, tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    good = certificates(node)["current"]["pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=leaf", "-keyout", "/dev/null", "-out", tmp_path / "leaf.pem",
         "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )  # fmt: skip
    files = [str(tmp_path / "junk.pem"), str(tmp_path / "leaf.pem")]
    (result,), _output = play(node, {"ucm.capf.manufacturing_ca": {"certificates": [good], "files": files}})
    assert result["failed"]
    assert [problem["field"] for problem in result["problems"]] == [f"files {name}" for name in files]
    assert "CN=leaf is not a CA" in result["msg"]
    assert node.ok("GET", "/manufacturing-cas")["trusted"] == []


def test_r1_sha1_is_warned_of(node: RunningNode, tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-sha1", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old",
         "-keyout", "/dev/null", "-out", tmp_path / "old.pem"], check=True, capture_output=True,
    )  # fmt: skip
    _results, output = play(node, {"ucm.capf.manufacturing_ca": {"files": [str(tmp_path / "old.pem")]}})
    assert "CN=old is signed with SHA-1" in output
