# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Phones accept the server's CTL file, and no other (R3, R24, R33)."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509

from capf.certificates import ctl
from capf.certificates.ctl import Role
from capf_lab.manufacturing import Maker
from support.lab import RunningLab, write_phones
from support.node import RunningNode
from support.waiting import until

A = "SEP00000000000A"
PHONE = {"device_name": A, "key_order": "EC Only", "ec_key_size": 256}
REASON = "CAPF was activated after the CTL file was made"
World = tuple[RunningNode, RunningLab]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A node whose CTL file was made before CAPF was activated, and a phone without a CTL file."""
    node = RunningNode(tmp_path / "node").start()
    node.ok("PUT", "/ctl-file", {})
    node.activate()
    node.ok("POST", "/phones", {"phones": [PHONE]})
    lab = RunningLab(tmp_path / "lab", write_phones(tmp_path / "phones.csv", [PHONE]))
    lab.start(node, hand_out_ctl=False)
    yield node, lab
    lab.stop()
    node.stop()


def lists(lab: RunningLab, token: x509.Certificate) -> bool:
    """Return whether the phone's CTL file lists this token."""
    return token in held(lab).certificates(Role.SAST)


def held(lab: RunningLab) -> ctl.CtlFile:
    """Return the CTL file on the phone."""
    data = lab.flash(A).ctl
    assert data is not None
    return ctl.read(data)


def test_r3_r24_a_phone_trusts_capf_once_the_servers_ctl_file_lists_it(world: World) -> None:
    node, lab = world
    node.schedule(A)
    lab.reset(A)
    lab.until(A, "CAPF cannot be reached")
    assert held(lab).certificates(Role.CAPF) == [] and node.phone(A)["operation_status"] == "Operation Pending"
    assert node.ok("PUT", "/ctl-file", {})["reasons"] == [REASON]
    lab.reset(A)
    assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    assert held(lab).certificates(Role.CAPF) == [x509.load_pem_x509_certificate(node.capf_certificate.read_bytes())]


def test_r33_the_ctl_file_of_the_server_has_to_list_capf_before_a_string_is_entered(world: World) -> None:
    node, lab = world
    node.schedule(A, authentication_mode="By Authentication String")
    lab.reset(A)
    lab.until(A, "CAPF is not possible: no CAPF certificate in the CTL file")
    node.ok("PUT", "/ctl-file", {})
    lab.reset(A)
    lab.until(A, "enter the authentication string")


def test_r3_a_phone_follows_its_cluster_from_token_to_token_and_no_stranger(world: World, tmp_path: Path) -> None:
    node, lab = world
    first = ctl.read((node.state / ctl.FILE_NAME).read_bytes())
    lab.reset(A)
    until(lambda: lab.flash(A).ctl is not None and held(lab) == first)
    for slot in (1, 2):
        own = Maker.open_or_make(tmp_path / f"token{slot}", f"Token {slot}")
        certificate, key = ((own.directory / name).read_text() for name in ("ca.pem", "ca.key"))
        node.ok("PUT", "/ctl-file", {"tokens": [{"slot": slot, "certificate": certificate, "private_key": key}]})
        lab.reset(A)
        until(partial(lists, lab, own.certificate))
    followed = held(lab)
    assert not set(followed.certificates(Role.SAST)) & set(first.certificates(Role.SAST))
    stranger = Maker.open_or_make(tmp_path / "stranger", "Stranger")
    capf = [x509.load_pem_x509_certificate(node.capf_certificate.read_bytes())]
    (node.state / ctl.FILE_NAME).write_bytes(stranger.make_ctl(capf))
    lab.reset(A)
    until(lambda: "event=ctl-refused" in (lab.directory / "lab.log").read_text())
    assert held(lab) == followed


def test_p60_phones_that_the_lab_gave_a_ctl_file_follow_the_one_that_is_published(world: World) -> None:
    node, lab = world
    node.ok("PUT", "/ctl-file", {})
    lab.stop()
    lab.start(node, hand_out_ctl=True)
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    assert lists(lab, next(iter(ctl.read(published(node)).certificates(Role.SAST))))
    lab.stop()
    before = held(lab)
    lab.start(node, hand_out_ctl=True)
    assert held(lab) == before


def published(node: RunningNode) -> bytes:
    """Return the CTL file that phones find on the files server."""
    with urllib.request.urlopen(f"{node.files_server}/{ctl.FILE_NAME}", timeout=10) as answer:
        return bytes(answer.read())
