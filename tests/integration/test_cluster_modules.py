# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules of nodes, CTL file and published files, and the playbook update_ctl (R3, R17, R22, R24)."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from capf.certificates import ctl
from capf.certificates.authority import make_capf_certificate
from capf.certificates.keystore import key_pem
from capf.certificates.signatures import Digest
from integration.conftest import MakeWorld
from support.lab import write_phones
from support.node import RunningNode
from support.playbooks import playbook
from support.plays import ansible_playbook, connection, extra_vars, interpreter, play, rhythm

A = "SEP00000000000A"
CTL_FILE = "ucm.capf.ctl_file"
NODES = "ucm.capf.nodes"
PUBLISH = "ucm.capf.files_publish"


@pytest.fixture
def further(tmp_path: Path) -> Iterator[RunningNode]:
    """A running subscriber."""
    running = RunningNode(tmp_path / "node2", first_node=False).start()
    yield running
    running.stop(signal.SIGKILL)


def item(node: RunningNode, **settings: Any) -> dict[str, Any]:
    """Return a subscriber in the form of the module's option."""
    address = {"administration_address": "127.0.0.1", "administration_port": node.port}
    pem = (node.state / "administration.crt").read_text()
    return {"name": "node2", **address, "administration_certificate": pem, **settings}


def roles(node: RunningNode) -> list[str]:
    """Return the roles of the records in the published CTL file."""
    return [record["role"] for record in node.ok("GET", "/ctl-file")["records"]]


def write_token(node: RunningNode, name: str, passphrase: str = "") -> tuple[rsa.RSAPrivateKey, dict[str, Any]]:
    """Write a security token of the administrator; return its key and the files as module options."""
    key, certificate = make_capf_certificate(os.urandom, time.time(), "Example", name)
    (node.directory / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key_pem(key)
    if passphrase:
        sealed = BestAvailableEncryption(passphrase.encode())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed)
        (node.directory / f"{name}.pass").write_text(passphrase + "\n")
    (node.directory / f"{name}.key").write_bytes(pem)
    files = {"certificate_file": f"{name}.pem", "key_file": f"{name}.key"}
    return key, {**files, "passphrase_file": f"{name}.pass"} if passphrase else files


def test_nodes_are_added_changed_and_removed(node: RunningNode, further: RunningNode) -> None:
    _check, real, _again = rhythm(node, NODES, {"nodes": [item(further)]})
    assert real["counts"] == {"created": 1, "updated": 0, "removed": 0, "unchanged": 0}
    _check, real, _again = rhythm(node, NODES, {"nodes": [{"name": "node2", "call_processing": False}]})
    assert real["diff"] == {"before": "node2: call_processing=True\n", "after": "node2: call_processing=False\n"}
    assert [item["role"] for item in node.ok("GET", "/nodes")["nodes"]] == ["CCM_TFTP", "TFTP"]
    rhythm(node, NODES, {"nodes": [{"name": "node2"}], "state": "absent"})
    assert len(node.ok("GET", "/nodes")["nodes"]) == 1


def test_bad_nodes_are_named_by_field_and_nothing_changes(node: RunningNode, further: RunningNode) -> None:
    wrong = [
        item(further),
        {"name": "node 3", "administration_certificate": "no PEM", "administration_port": 70000},
        {"name": "node4"},
        {"name": "127.0.0.1", "administration_port": 8444},
    ]
    (result,), _output = play(node, {NODES: {"nodes": wrong}})
    assert {problem["field"] for problem in result["problems"]} == {
        "nodes[1].name",
        "nodes[1].administration_certificate",
        "nodes[1].administration_port",
        "nodes[2].administration_certificate",
        "nodes[3].administration_port",
    }
    assert len(node.ok("GET", "/nodes")["nodes"]) == 1


def test_r24_ctl_file_is_made_only_when_it_is_outdated(node: RunningNode, further: RunningNode) -> None:
    _check, real, _again = rhythm(node, CTL_FILE, {})
    assert real["diff"]["before"] == "" and real["diff"]["after"].count("SAST O=ucm.capf,CN=SAST-") == 2
    (activated,), output = play(node, {"ucm.capf.capf_service": {"state": "started"}})
    assert activated["changed"] and "the CTL file is outdated" in " ".join(output.split())
    (shown,), _output = play(node, {"ucm.capf.ctl_file_info": {}})
    assert shown["ctl_file"]["reasons"] == ["CAPF was activated after the CTL file was made"]
    _check, real, _again = rhythm(node, CTL_FILE, {"digest": "SHA-1"})
    assert [record["role"] for record in real["records_added"]] == ["CAPF"] and not real["records_removed"]
    assert real["diff"]["before"].startswith("outdated: CAPF was activated after the CTL file was made\n")
    assert "digest: SHA-1\n" in real["diff"]["after"]
    node.ok("PUT", "/nodes", {"nodes": [item(further)]})
    _check, real, _again = rhythm(node, CTL_FILE, {})
    assert real["reasons"] == ["node node2 was added"] and roles(node).count("CCM_TFTP") == 2
    node.ok("PUT", "/nodes", {"nodes": [{"name": "node2", "certificate": node.capf_certificate.read_text()}]})
    _check, real, _again = rhythm(node, CTL_FILE, {})
    assert real["reasons"] == ["the certificate or role of node node2 was changed"]
    assert (len(real["records_added"]), len(real["records_removed"])) == (1, 1)
    node.ok("PUT", "/nodes", {"nodes": [{"name": "node2"}], "state": "absent"})
    _check, real, _again = rhythm(node, CTL_FILE, {})
    assert real["reasons"] == ["node node2 was removed, or runs neither call processing nor TFTP"]
    assert ctl.read((node.state / ctl.FILE_NAME).read_bytes()).digest is Digest.SHA1


def test_r24_a_capf_certificate_that_is_prepared_outdates_the_ctl_file(node: RunningNode) -> None:
    node.activate()
    node.ok("PUT", "/ctl-file", {})
    node.ok("PUT", "/capf-certificate", {"state": "prepared"})
    following = node.ok("GET", "/capf-certificate")["next"]["common_name"]
    _check, real, _again = rhythm(node, CTL_FILE, {})
    assert real["reasons"] == [f"the CAPF certificate {following} was added"]
    node.ok("PUT", "/capf-certificate", {"state": "active"})
    assert node.ok("GET", "/ctl-file")["state"] == "current"


def test_both_tokens_are_changed_in_two_steps_and_never_at_once(node: RunningNode) -> None:
    node.ok("PUT", "/ctl-file", {})
    held = ctl.read((node.state / ctl.FILE_NAME).read_bytes()).certificates(ctl.Role.SAST)
    _key, one = write_token(node, "sast1", "swordfish-in-a-barrel")
    _key, two = write_token(node, "sast2")
    both = {"tokens": [{"slot": 1, **one}, {"slot": 2, **two}]}
    (refused,), _output = play(node, {CTL_FILE: both})
    assert refused["failed"] and "Change one token, make the CTL file" in refused["msg"]
    _check, first, _again = rhythm(node, CTL_FILE, {"tokens": [{"slot": 1, **one}]})
    assert first["reasons"] == ["a security token was changed"]
    between = ctl.read((node.state / ctl.FILE_NAME).read_bytes())
    assert between.signer(held) == held[1]
    _check, real, _again = rhythm(node, CTL_FILE, both)
    now = ctl.read((node.state / ctl.FILE_NAME).read_bytes())
    assert now.signer(between.certificates(ctl.Role.SAST)) not in held
    with pytest.raises(ctl.CtlError):
        now.signer(held)
    assert len(list((node.state / "tokens").iterdir())) == 3
    output = str([refused, first, real]) + node.log.read_text()
    assert "swordfish" not in output and "PRIVATE KEY" not in output
    files = [path for path in node.state.rglob("*") if path.is_file() and path.parent.name == "tokens"]
    assert not any(b"PRIVATE" in path.read_bytes() for path in [*files, node.state / "capf.db"])


def test_a_token_that_is_wrong_is_named_and_never_shown(node: RunningNode) -> None:
    key, good = write_token(node, "sast1", "swordfish-in-a-barrel")
    _key, other = write_token(node, "sast2")
    (node.directory / "wrong.pass").write_text("guess\n")
    node.ok("PUT", "/ctl-file", {})
    tasks: list[dict[str, Any]] = [
        {CTL_FILE: {"tokens": [{"slot": 2, **good, "passphrase_file": "wrong.pass"}]}},
        {CTL_FILE: {"tokens": [{"slot": 2, **other, "key_file": "sast1.key", "passphrase_file": "sast1.pass"}]}},
        {CTL_FILE: {"tokens": [{"slot": 2, "certificate_file": "sast1.key"}]}},
        {CTL_FILE: {"tokens": [{"slot": 2, "certificate_file": "none.pem"}]}},
        {CTL_FILE: {"tokens": [{"slot": 2, **other}, {"slot": 2, **good}]}},
        {CTL_FILE: {"signer_version": "1.0"}},
    ]
    results, output = play(node, *tasks, options=("-vvv", "--diff"))
    assert all(result["failed"] for result in results)
    fields = [[problem["field"] for problem in result["problems"]] for result in results]
    private = ["tokens[0].private_key"]
    assert fields == [private, private, ["tokens[0].certificate"], [], ["tokens[1].slot"], ["signer_version"]]
    assert "version 1.0 has no room for the EC keys of 127.0.0.1; choose 1.1" in results[-1]["msg"]
    assert key_pem(key).decode().splitlines()[1] not in output and "swordfish" not in output + node.log.read_text()
    assert node.ok("GET", "/ctl-file")["state"] == "current"


def test_r3_files_publish_brings_all_nodes_up_to_date(node: RunningNode, further: RunningNode) -> None:
    node.ok("PUT", "/nodes", {"nodes": [item(further)]})
    node.ok("PUT", "/ctl-file", {})
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    _check, real, again = rhythm(node, PUBLISH, {})
    assert (real["files"], real["nodes"][0]["sent"], again["nodes"][0]["unchanged"]) == (7, 7, 7)
    assert {"node2: CTLFile.tlv", f"node2: {A}.cnf.xml"} < set(real["diff"]["after"].splitlines())
    (unknown,), _output = play(node, {PUBLISH: {"phones": ["SEP0000000000FF"]}})
    assert unknown["problems"][0]["value"] == "SEP0000000000FF"
    further.stop()
    node.schedule(A)
    (left,), _output = play(node, {PUBLISH: {}})
    assert left["failed"] and left["msg"].startswith("0 of 1 nodes are up to date. node2: it cannot be reached")
    further.start()
    rhythm(node, PUBLISH, {"phones": [A]})


def test_r10_every_node_has_the_files_of_phones_that_became_secure(
    make_world: MakeWorld, further: RunningNode, tmp_path: Path
) -> None:
    phone = {"device_name": A, "key_order": "EC Only", "ec_key_size": 256, "authentication_mode": "By Null String"}
    node, _lab = make_world([phone])
    node.ok("PUT", "/nodes", {"nodes": [item(further, tftp=False)]})
    node.ok("PUT", "/ctl-file", {})
    wanted = write_phones(tmp_path / "wanted.csv", [phone | {"security_mode_after": "Encrypted"}])
    status, output = playbook(node, "rollout", lsc_rollout_csv_file=str(wanted))
    assert status == 0 and node.phone(A)["device_security_mode"] == "Encrypted", output
    (left,) = node.ok("POST", "/nodes/publish", {"phones": [A], "dry_run": True})["nodes"]
    assert f"{A}.cnf.xml" not in left["sent_files"]


def test_r17_nodes_info_names_nodes_with_another_administrator(node: RunningNode, tmp_path: Path) -> None:
    other = RunningNode(tmp_path / "node2", first_node=False, password="another-password").start()
    try:
        node.ok("PUT", "/nodes", {"nodes": [item(other)]})
        (refused, shown), _output = play(node, {"ucm.capf.nodes_info": {"check": True}}, {"ucm.capf.nodes_info": {}})
        assert refused["failed"] and "node2: it has a different administrator name or password" in refused["msg"]
        assert [item["name"] for item in shown["nodes"]] == ["127.0.0.1", "node2"] and shown["problems"] == {}
    finally:
        other.stop()


def update_ctl(node: RunningNode, *options: str, **variables: Any) -> tuple[int, int, str]:
    """Run the playbook; return exit status, number of changed tasks, and output."""
    options_of = connection(node)
    given = {f"capf_{name}": value for name, value in options_of.items()}
    given["ansible_python_interpreter"] = interpreter()
    files = extra_vars(node.directory, {**given, **variables})
    status, output = ansible_playbook("ucm.capf.update_ctl", *files, *options, cwd=node.directory)
    found = re.search(r"localhost .*changed=(\d+)", output)
    return status, int(found[1]) if found else -1, output


def test_r22_update_ctl_makes_the_file_and_hands_it_to_all_nodes(node: RunningNode, further: RunningNode) -> None:
    node.activate()
    status, changed, output = update_ctl(node, update_ctl_nodes=[item(further)])
    assert (status, changed) == (0, 3), output
    assert "CTL file current" in output and "subscribers up to date: 1 of 1" in " ".join(output.split())
    assert further.ok("GET", "/ctl-file")["sha256"] == node.ok("GET", "/ctl-file")["sha256"]
    certificates = ctl.read((further.state / "files" / ctl.FILE_NAME).read_bytes()).certificates(ctl.Role.CAPF)
    assert certificates == [x509.load_pem_x509_certificate(node.capf_certificate.read_bytes())]
    status, changed, output = update_ctl(node)
    assert (status, changed) == (0, 0), output
    further.stop()
    node.ok("PUT", "/service", {"activated": False})
    node.ok("PUT", "/service", {"activated": True})
    status, _changed, output = update_ctl(node)
    assert status == 2 and "0 of 1 nodes are up to date" in output, output
    assert node.ok("GET", "/ctl-file")["state"] == "current"
