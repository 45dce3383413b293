# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that phones fetch over HTTP and TFTP, edits of the administrator's own files, and refused files."""

from __future__ import annotations

import http.client
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from capf_lab.cnf_xml import Configuration, parse
from capf_lab.manufacturing import Maker
from integration.test_cluster import certificate_names, fetch
from support.lab import RunningLab, write_phones
from support.node import RunningNode
from support.tftpd import RunningTftpd
from support.waiting import until

A, B = "SEP00000000000A", "SEP00000000000B"
NULL = {"authentication_mode": "By Null String", "key_order": "EC Only", "ec_key_size": 256}
_PUBLISHED_SECONDS = 20


@pytest.fixture
def tftpd(tmp_path: Path) -> Iterator[RunningTftpd]:
    """A running in.tftpd."""
    running = RunningTftpd(tmp_path / "tftp")
    yield running
    running.stop()


@pytest.fixture
def node(tmp_path: Path, tftpd: RunningTftpd) -> Iterator[RunningNode]:
    """An activated node with two phones that publishes its files to the TFTP server."""
    made = RunningNode(tmp_path / "node").configure("files", tftp_directory=str(tftpd.directory)).start()
    made.activate()
    made.ok("POST", "/phones", {"phones": [{"device_name": name, **NULL} for name in (A, B)]})
    yield made
    made.stop()


@pytest.fixture
def lab(tmp_path: Path, node: RunningNode) -> Iterator[RunningLab]:
    """The two phones; a test starts them."""
    made = RunningLab(tmp_path / "lab", write_phones(tmp_path / "phones.csv", [{"device_name": A}, {"device_name": B}]))
    yield made
    made.stop()


def published(directory: Path, name: str) -> Configuration | None:
    """Return the settings that a phone reads in its file of the TFTP directory."""
    path = directory / f"{name}.cnf.xml"
    return parse(path.read_bytes()) if path.exists() else None


def mode_of(directory: Path, name: str) -> int | None:
    """Return the ``capfAuthMode`` in a phone's file, None if there is no file."""
    found = published(directory, name)
    return None if found is None else found.authentication_mode


def until_mode(directory: Path, name: str, mode: int | None) -> None:
    """Wait until a phone's file has this ``capfAuthMode``, or until there is no file."""
    until(lambda: mode_of(directory, name) == mode, _PUBLISHED_SECONDS, lambda: published(directory, name))


def identity(path: Path) -> tuple[int, int]:
    """Return what changes when a file is written."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def until_published(directory: Path, name: str, data: bytes | None) -> None:
    """Wait until a file has this content."""
    assert data is not None
    path = directory / name
    until(lambda: path.exists() and path.read_bytes() == data, _PUBLISHED_SECONDS, lambda: name)


def test_the_tftp_directory_follows_every_change(node: RunningNode, lab: RunningLab, tftpd: RunningTftpd) -> None:
    lab.start(node)
    for name in (A, B):
        until_mode(tftpd.directory, name, 0)
    node.ok("PUT", "/ctl-file", {})
    until_published(tftpd.directory, "CTLFile.tlv", fetch(node, "CTLFile.tlv"))
    for name in certificate_names(node):
        assert (tftpd.directory / name).read_bytes() == fetch(node, name)
    untouched = identity(tftpd.directory / f"{B}.cnf.xml")
    node.schedule(A)
    until_mode(tftpd.directory, A, 2)
    node.schedule(A, operation="No Pending Operation")
    until_mode(tftpd.directory, A, 0)
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    until_published(tftpd.directory, f"{A}.cnf.xml", fetch(node, f"{A}.cnf.xml"))
    held = published(tftpd.directory, A)
    assert held is not None and held.authentication_mode == 0 and held.certificate_hash
    assert identity(tftpd.directory / f"{B}.cnf.xml") == untouched
    node.ok("POST", "/phones", {"phones": [{"device_name": A}], "state": "absent"})
    until_mode(tftpd.directory, A, None)
    node.ok("PUT", "/enterprise-parameters", {"parameters": {"Enable IPv6": True}})
    node.ok("POST", "/service/restart", {})
    until_published(tftpd.directory, f"{B}.cnf.xml", fetch(node, f"{B}.cnf.xml"))
    assert b"<ipAddressMode>2</ipAddressMode>" in (tftpd.directory / f"{B}.cnf.xml").read_bytes()
    assert {path.stat().st_mode & 0o777 for path in tftpd.directory.iterdir()} == {0o644}


def test_files_are_published_again_after_a_start(node: RunningNode, tftpd: RunningTftpd) -> None:
    until_mode(tftpd.directory, A, 0)
    node.stop()
    (tftpd.directory / f"{A}.cnf.xml").write_bytes(b"")
    (tftpd.directory / "firmware.loads").write_bytes(b"the site's own")
    node.start()
    until_mode(tftpd.directory, A, 0)
    assert (tftpd.directory / "firmware.loads").read_bytes() == b"the site's own"


def test_a_reset_waits_until_the_files_of_its_phones_are_published(
    node: RunningNode, tftpd: RunningTftpd, tmp_path: Path
) -> None:
    script = tmp_path / "reset.py"
    script.write_text(
        "import sys, pathlib\n"
        f"files = [pathlib.Path({str(tftpd.directory)!r}, name + '.cnf.xml') for name in sys.argv[1:]]\n"
        "sys.exit(not all(b'<capfAuthMode>2<' in file.read_bytes() for file in files))\n"
    )
    node.stop()
    node.configure("reset", command=[sys.executable, str(script), "{names}"]).start()
    names = [f"SEP0000000{index:05X}" for index in range(2000)]
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **NULL} for name in names]})
    node.schedule(*names)
    answer = node.ok("POST", "/phones/reset", {"phones": names})
    assert answer["counts"] == {"reset": 2000, "failed": 0}, answer["failed"][:1]


def test_a_directory_that_cannot_be_written_is_named_and_phones_are_not_reset(
    node: RunningNode, tmp_path: Path
) -> None:
    node.stop()
    (tmp_path / "no-directory").write_text("a file")
    node.configure("files", tftp_directory=str(tmp_path / "no-directory")).start()
    status, answer = node.api("POST", "/phones/reset", {"phones": [A]})
    assert status == 409 and f"{tmp_path}/no-directory cannot be written" in answer["error"]["message"]
    assert "event=publish-failed" in node.log.read_text()


def test_phones_enrol_over_tftp_where_http_fails(node: RunningNode, lab: RunningLab, tftpd: RunningTftpd) -> None:
    node.stop()
    node.configure("files", enabled=False).start()
    lab.start(node, "--tftp-server", f"127.0.0.1:{tftpd.port}")
    node.schedule(A, B)
    node.ok("POST", "/phones/reset", {"phones": [A, B]})
    assert node.wait(A, B)["by_status"] == {"Upgrade Success": 2}
    assert lab.flash(A).has_lsc and lab.flash(B).has_lsc


def test_own_files_are_edited_on_every_way_to_the_phone(node: RunningNode, tftpd: RunningTftpd) -> None:
    own = node.state / "own"
    own.mkdir()
    text = "<device>\r\n  <userLocale name='Z\xfcrich'/>\r\n  <capfAuthMode>0</capfAuthMode>\r\n</device>\r\n"
    (own / f"{A}.cnf.xml").write_bytes(f"<?xml version='1.0' encoding='latin-1'?>{text}".encode("latin-1"))
    node.schedule(A)
    until_mode(tftpd.directory, A, 2)
    data = fetch(node, f"{A}.cnf.xml")
    assert data is not None and data == (tftpd.directory / f"{A}.cnf.xml").read_bytes()
    begin, end = (part.encode("latin-1") for part in text.removesuffix("</device>\r\n").split("0"))
    assert data.startswith(b"<?xml version='1.0' encoding='latin-1'?>" + begin + b"2" + end)


def test_p62_signed_files_are_the_same_on_every_way_to_the_phone(node: RunningNode, tftpd: RunningTftpd) -> None:
    assert fetch(node, f"{A}.cnf.xml.sgn") is None
    node.ok("PUT", "/ctl-file", {})
    data = fetch(node, f"{A}.cnf.xml.sgn")
    assert data is not None and data.endswith(fetch(node, f"{A}.cnf.xml") or b"-")
    until_published(tftpd.directory, f"{A}.cnf.xml.sgn", data)
    connection = http.client.HTTPConnection("127.0.0.1", node.files_port)
    connection.request("HEAD", f"//{A}.cnf.xml.sgn")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["content-length"], answer.read()) == (200, str(len(data)), b"")
    connection.close()


def test_an_own_file_that_cannot_be_edited_is_named_and_not_served(node: RunningNode) -> None:
    own = node.state / "own"
    own.mkdir()
    (own / f"{A}.cnf.xml").write_bytes(b"<!DOCTYPE device><device/>")
    assert fetch(node, f"{A}.cnf.xml") is None
    assert f"device={A} event=own-file-refused" in node.log.read_text()
    status, answer = node.api("POST", "/nodes/publish", {"phones": [A]})
    assert status == 422 and "document type declaration" in json.dumps(answer)
    assert fetch(node, f"{B}.cnf.xml") is not None


def test_a_phone_whose_certificate_is_not_the_one_in_its_file_starts_a_session(
    node: RunningNode, lab: RunningLab
) -> None:
    lab.start(node)
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    lab.until(A, "LSC installed")
    lab.reset(A)
    assert lab.until(A, "ready")["attempts"] == 1
    lab.flash(A).delete_lsc()
    lab.reset(A)
    assert lab.until(A, "no operation pending")["attempts"] == 2
    assert len(re.findall(f"event=claim .*device='{A}'", node.log.read_text())) == 2


def ctl_of(maker: Maker, node: RunningNode) -> bytes:
    """Return a CTL file that lists the node's CAPF, signed by a token of the test."""
    return maker.make_ctl([x509.load_pem_x509_certificate(node.capf_certificate.read_bytes())])


def test_a_ctl_file_signed_by_a_stranger_is_refused(node: RunningNode, lab: RunningLab, tmp_path: Path) -> None:
    lab.start(node)
    held = ctl_of(Maker.open_or_make(tmp_path / "known", "Known Token"), node)
    lab.flash(A).store_ctl(held)
    node.ok("PUT", "/ctl-file", {})
    assert fetch(node, "CTLFile.tlv") not in (None, held)
    lab.reset(A)
    lab.until(A, "ready")
    assert lab.flash(A).ctl == held
    assert f"device={A} event=ctl-refused" in (lab.directory / "lab.log").read_text()


def test_a_capf_that_the_ctl_file_does_not_list_is_refused(node: RunningNode, lab: RunningLab, tmp_path: Path) -> None:
    other = RunningNode(tmp_path / "other")
    lab.start(node)
    lab.flash(A).store_ctl(ctl_of(Maker.open_or_make(tmp_path / "token", "Token"), other))
    node.schedule(A)
    lab.reset(A)
    lab.until(A, "CAPF cannot be reached")
    assert "the CTL file does not list this CAPF" in (lab.directory / "lab.log").read_text()
    assert not lab.flash(A).has_lsc
    phone: dict[str, Any] = node.phone(A)
    assert phone["operation_status"] == "Operation Pending"
