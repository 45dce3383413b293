# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""First node and subscribers: the list of nodes, the CTL file, and published files (R3, R13, R17, R24)."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from capf.certificates import ctl
from capf.certificates.ctl import Role
from support.node import RunningNode
from support.requesting import PASSWORD

A, B = "SEP00000000000A", "SEP00000000000B"
MakeNode = Callable[..., RunningNode]


@pytest.fixture
def make_further(tmp_path: Path) -> Iterator[MakeNode]:
    """Return a function that starts a subscriber."""
    started: list[RunningNode] = []

    def make(name: str, **options: Any) -> RunningNode:
        started.append(RunningNode(tmp_path / name, first_node=False, **options).start())
        return started[-1]

    yield make
    for running in started:
        running.stop(signal.SIGKILL)


def item(node: RunningNode, name: str, **settings: Any) -> dict[str, Any]:
    """Return a subscriber as an item of a request to the first node."""
    pem = (node.state / "administration.crt").read_text()
    address = {"administration_address": "127.0.0.1", "administration_port": node.port}
    return {"name": name, **address, "administration_certificate": pem, **settings}


def join(first: RunningNode, **further: RunningNode) -> None:
    """Add subscribers to the first node."""
    answer = first.ok("PUT", "/nodes", {"nodes": [item(node, name) for name, node in further.items()]})
    assert answer["counts"]["created"] == len(further)


def fetch(node: RunningNode, name: str) -> bytes | None:
    """Fetch a file as a phone does; None if it does not exist."""
    try:
        with urllib.request.urlopen(f"{node.files_server}/{name}", timeout=10) as answer:
            data: bytes = answer.read()
            return data
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return None


def certificate_names(node: RunningNode) -> list[str]:
    """Return both names of the CAPF certificate."""
    names: list[str] = node.ok("GET", "/service")["capf_certificate"]["file_names"]
    return names


def administration(node: RunningNode) -> x509.Certificate:
    """Return the certificate of a node's administration."""
    return x509.load_pem_x509_certificate((node.state / "administration.crt").read_bytes())


def test_the_first_node_is_a_node_of_the_cluster(node: RunningNode) -> None:
    (first,) = node.ok("GET", "/nodes")["nodes"]
    assert (first["name"], first["first_node"], first["role"]) == ("127.0.0.1", True, "CCM_TFTP")
    assert first["administration_port"] == node.port
    status, answer = node.api("PUT", "/nodes", {"nodes": [{"name": "127.0.0.1"}], "state": "absent"})
    assert status == 422 and "is the first node, which cannot be removed" in str(answer)
    node.stop()
    node.config.write_text(node.config.read_text().replace('node_name = "127.0.0.1"', 'node_name = "capf1.example"'))
    node.start()
    assert [item["name"] for item in node.ok("GET", "/nodes")["nodes"]] == ["capf1.example"]


def test_r3_the_first_node_copies_ctl_file_certificate_and_configuration_to_every_node(
    node: RunningNode, make_further: MakeNode
) -> None:
    two, three = make_further("node2"), make_further("node3")
    node.activate()
    join(node, node2=two, node3=three)
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    node.ok("PUT", "/ctl-file", {})
    dry = node.ok("POST", "/nodes/publish", {"dry_run": True})
    assert dry["changed"] and fetch(two, ctl.FILE_NAME) is None
    done = node.ok("POST", "/nodes/publish", {})
    assert done["nodes"] == dry["nodes"] and done["complete"]
    for name in (ctl.FILE_NAME, *certificate_names(node), f"{A}.cnf.xml", f"{A}.cnf.xml.sgn"):
        content = fetch(node, name)
        assert content is not None and fetch(two, name) == content == fetch(three, name)
    assert not node.ok("POST", "/nodes/publish", {})["changed"]
    assert all(item["ctl_file_is_current"] for item in node.ok("GET", "/nodes")["nodes"])
    assert two.ok("GET", "/ctl-file")["sha256"] == node.ok("GET", "/ctl-file")["sha256"]
    node.schedule(A)
    again = node.ok("POST", "/nodes/publish", {"phones": [A]})
    assert [item["sent_files"] for item in again["nodes"]] == [[f"{A}.cnf.xml", f"{A}.cnf.xml.sgn"]] * 2
    assert fetch(two, f"{A}.cnf.xml") == fetch(node, f"{A}.cnf.xml")


def test_r17_a_node_with_other_credentials_is_named_before_anything_changes(
    node: RunningNode, make_further: MakeNode
) -> None:
    good, other = make_further("node2"), make_further("node3", password="another-password")
    join(node, node2=good, node3=other)
    for method, path in (("PUT", "/ctl-file"), ("POST", "/nodes/publish"), ("POST", "/nodes/check")):
        status, answer = node.api(method, path, {})
        assert status == 409, answer
        message = answer["error"]["message"]
        assert "node3: it has a different administrator name or password" in message and "node2" not in message
    assert node.ok("GET", "/ctl-file")["state"] == "missing"
    assert not any(fetch(good, name) for name in (ctl.FILE_NAME, *certificate_names(node)))
    assert all(PASSWORD not in running.log.read_text() for running in (node, good, other))


def test_r3_an_unreachable_node_is_named_and_the_next_run_finishes_the_rest(
    node: RunningNode, make_further: MakeNode
) -> None:
    two, three = make_further("node2"), make_further("node3")
    join(node, node2=two, node3=three)
    three.stop()
    made = node.ok("PUT", "/ctl-file", {})
    assert made["changed"] and made["unreachable"][0].startswith("node3: it cannot be reached")
    done = node.ok("POST", "/nodes/publish", {})
    assert not done["complete"] and done["changed"]
    assert [bool(item["problem"]) for item in done["nodes"]] == [False, True]
    assert fetch(two, ctl.FILE_NAME) == fetch(node, ctl.FILE_NAME)
    shown = {item["name"]: item["ctl_file_is_current"] for item in node.ok("GET", "/nodes")["nodes"]}
    assert shown == {"127.0.0.1": True, "node2": True, "node3": False}
    three.start()
    rest = node.ok("POST", "/nodes/publish", {})
    assert rest["complete"] and [item["sent"] for item in rest["nodes"]] == [0, 5]
    assert fetch(three, ctl.FILE_NAME) == fetch(node, ctl.FILE_NAME)


def test_r28_phones_find_their_new_files_on_every_node_when_they_are_reset(
    node: RunningNode, make_further: MakeNode, tmp_path: Path
) -> None:
    two, three = make_further("node2"), make_further("node3")
    node.stop()
    node.configure("reset", command=["touch", str(tmp_path / "reset")]).start()
    join(node, node2=two)
    node.ok("PUT", "/nodes", {"nodes": [item(three, "node3", tftp=False)]})
    three.stop()
    node.ok("POST", "/phones", {"phones": [{"device_name": name} for name in (A, B)]})
    node.ok("POST", "/phones/reset", {"phones": [A], "dry_run": True})
    assert fetch(two, f"{A}.cnf.xml") is None
    node.ok("POST", "/phones/reset", {"phones": [A]})
    assert fetch(two, f"{A}.cnf.xml") == fetch(node, f"{A}.cnf.xml") and fetch(two, f"{B}.cnf.xml") is None
    (tmp_path / "reset").unlink()
    two.stop()
    status, answer = node.api("POST", "/phones/reset", {"phones": [A]})
    assert status == 409 and "nothing was reset" in answer["error"]["message"]
    assert "node2: it cannot be reached" in answer["error"]["message"] and "node3" not in answer["error"]["message"]
    assert not (tmp_path / "reset").exists()


def test_a_node_whose_certificate_is_another_gets_nothing(node: RunningNode, make_further: MakeNode) -> None:
    two, stranger = make_further("node2"), make_further("node3")
    wrong = {"administration_certificate": (stranger.state / "administration.crt").read_text()}
    node.ok("PUT", "/nodes", {"nodes": [item(two, "node2", **wrong)]})
    answer = node.ok("POST", "/nodes/publish", {})
    assert not answer["complete"] and "its certificate is not trusted" in answer["nodes"][0]["problem"]
    assert fetch(two, certificate_names(node)[0]) is None
    assert "PUT" not in two.log.read_text()


def test_r13_a_subscriber_decides_nothing_of_the_cluster(node: RunningNode, make_further: MakeNode) -> None:
    further = make_further("node2")
    for method, path, body in (
        ("PUT", "/service", {"activated": True}),
        ("PUT", "/ctl-file", {}),
        ("PUT", "/nodes", {"nodes": [{"name": "192.0.2.9"}]}),
        ("POST", "/nodes/publish", {}),
    ):
        status, answer = further.api(method, path, body)
        assert status == 409 and "this is a subscriber" in answer["error"]["message"]
    status, answer = node.api("PUT", "/files", {"files": {}})
    assert status == 409 and "files can only be published to subscribers" in answer["error"]["message"]
    join(node, node2=further)
    first = {"nodes": [item(node, "node3")]}
    node.ok("PUT", "/nodes", first)
    status, answer = node.api("POST", "/nodes/check", {})
    assert status == 409 and "node3: it is a first node itself" in answer["error"]["message"]


def test_a_subscriber_takes_only_files_that_phones_ask_for(make_further: MakeNode) -> None:
    further = make_further("node2")
    for name, data in (
        ("../capf.key", "eA=="),
        ("capf.key", "eA=="),
        (f"{A}.cnf.xml/../../x", "eA=="),
        (f"{A}.txt", "eA=="),
        (ctl.FILE_NAME, "eA=="),
        ("0123abcd.0", "eA=="),
    ):
        status, answer = further.api("PUT", "/files", {"files": {f"{B}.cnf.xml": "eA==", name: data}})
        assert status == 422 and answer["error"]["problems"][0]["field"] == f"files.{name}", answer
    assert fetch(further, f"{B}.cnf.xml") is None
    assert further.ok("PUT", "/files", {"files": {f"{B}.cnf.xml": "eA=="}, "dry_run": True})["changed"]
    assert fetch(further, f"{B}.cnf.xml") is None
    assert further.ok("PUT", "/files", {"files": {f"{B}.cnf.xml": "eA=="}})["names"] == [f"{B}.cnf.xml"]
    assert not further.ok("PUT", "/files", {"files": {f"{B}.cnf.xml": "eA=="}})["changed"]
    assert fetch(further, f"{B}.cnf.xml") == b"x"


def test_phones_cannot_fetch_what_is_not_for_them(node: RunningNode) -> None:
    for name in (
        "capf.key",
        "strings.key",
        "capf.db",
        "administration.key",
        "tokens",
        "..%2Fcapf.toml",
        f"{A}.cnf.xml",
    ):
        assert fetch(node, name) is None


def test_r24_the_ctl_file_is_outdated_when_capf_is_activated_after_it(node: RunningNode) -> None:
    assert node.ok("GET", "/ctl-file")["state"] == "missing"
    assert node.ok("PUT", "/ctl-file", {"dry_run": True})["changed"] and fetch(node, ctl.FILE_NAME) is None
    made = node.ok("PUT", "/ctl-file", {})
    roles = [record["role"] for record in made["after"]["records"]]
    assert made["changed"] and roles == ["SAST", "SAST", "CCM_TFTP", "TFTP"]
    assert node.ok("GET", "/service")["ctl_file"] == {"state": "current", "reasons": []}
    node.ok("PUT", "/enterprise-parameters", {"parameters": {"CAPF Phone Port": node.capf_port}})
    (warning,) = node.ok("PUT", "/service", {"activated": True})["warnings"]
    reason = "CAPF was activated after the CTL file was made"
    assert warning == f"the CTL file is outdated and has to be made again: {reason}"
    assert node.ok("GET", "/service")["ctl_file"] == {"state": "outdated", "reasons": [reason]}
    again = node.ok("PUT", "/ctl-file", {})
    assert again["changed"] and again["reasons"] == [reason]
    come = [record for record in again["after"]["records"] if record not in again["before"]["records"]]
    assert [record["role"] for record in come] == ["CAPF"]
    assert not node.ok("PUT", "/ctl-file", {})["changed"]
    data = fetch(node, ctl.FILE_NAME)
    assert data is not None
    file = ctl.read(data)
    assert file.signer() in file.certificates(Role.SAST) and file.signer_version == (1, 1)
    assert file.certificates(Role.CCM_TFTP) == [administration(node)]
    assert file.certificates(Role.CAPF) == [x509.load_pem_x509_certificate(node.capf_certificate.read_bytes())]


def test_the_ctl_file_and_its_tokens_survive_a_restart(node: RunningNode) -> None:
    node.ok("PUT", "/ctl-file", {})
    before = fetch(node, ctl.FILE_NAME)
    node.stop()
    (node.state / ctl.FILE_NAME).unlink()
    node.start()
    assert fetch(node, ctl.FILE_NAME) == before
    keys = list((node.state / "tokens").iterdir())
    assert len(keys) == 3 and not any(os.stat(key).st_mode & 0o077 for key in keys)
    assert not any(b"PRIVATE KEY" in key.read_bytes() for key in keys)
