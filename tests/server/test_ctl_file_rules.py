# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of nodes, security tokens and the CTL file, in this process on each kind of database (R3, R24)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from capf.certificates import ctl
from capf.certificates.authority import make_capf_certificate
from capf.certificates.keystore import key_pem, pem
from capf.model import ConflictError, InvalidRequestError
from capf.registry import ctl_file, nodes, service, tokens
from capf.registry.ctl_file import Freshness, Options
from capf.registry.transaction import Transaction
from support.record import NOW, Record

RSA_PEM = pem(make_capf_certificate(os.urandom, NOW, "Example", "node")[1]).decode()
OTHER_PEM = pem(make_capf_certificate(os.urandom, NOW, "Example", "node")[1]).decode()


@pytest.fixture
def first(record: Record) -> Record:
    """The record of a first node after its first start."""
    record.run(lambda c: nodes.register_first(Transaction(c, record.context), 8443, RSA_PEM))
    record.run(lambda c: tokens.make_missing(Transaction(c, record.context)))
    return record


def make(record: Record, *wanted: tokens.Supplied, **options: Any) -> ctl_file.MadeCtlFile:
    """Update the CTL file if it is outdated."""
    return record.run(
        lambda c: ctl_file.make_current(Transaction(c, record.context, "test"), Options(**options), wanted)
    )


def status(record: Record) -> ctl_file.CtlFileStatus:
    """Return the state of the CTL file."""
    return record.store.read(lambda c: ctl_file.status(Transaction(c, record.context)))


def supplied(slot: int) -> tokens.Supplied:
    """Return a token created by the administrator."""
    key, certificate = make_capf_certificate(os.urandom, NOW, "Example", "SAST")
    return tokens.Supplied(slot, pem(certificate).decode(), key_pem(key).decode())


def test_the_signer_version_is_1_0_while_every_key_is_rsa_and_the_digest_is_kept(first: Record) -> None:
    made = make(first, digest="SHA-1")
    assert (made.after["digest"], made.after["signer_version"]) == ("SHA-1", "1.0")
    assert not make(first).changed
    assert make(first, signer_version="1.1").reasons == ["a different digest or signer version is requested"]
    assert make(first, digest="SHA-512").after["digest"] == "SHA-512"
    with pytest.raises(InvalidRequestError, match="digest: 'MD5' is refused; allowed: SHA-1, SHA-512"):
        make(first, digest="MD5")


def test_r24_a_deactivation_for_a_while_takes_no_trust_away(first: Record) -> None:
    first.run(lambda c: service.activate(Transaction(c, first.context, "test"), True))
    make(first)
    first.run(lambda c: service.activate(Transaction(c, first.context, "test"), False))
    assert status(first).state is Freshness.CURRENT
    first.run(lambda c: service.activate(Transaction(c, first.context, "test"), True))
    assert status(first).reasons == ["CAPF was activated after the CTL file was made"]
    made = make(first)
    assert made.changed and made.before["records"] == made.after["records"]


def test_a_token_whose_key_is_gone_or_was_changed_signs_nothing(first: Record) -> None:
    for path in first.context.token_directory.iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ConflictError, match="was changed"):
        make(first)
    for path in first.context.token_directory.iterdir():
        path.unlink()
    with pytest.raises(ConflictError, match="is not on this server"):
        make(first)
    assert status(first).state is Freshness.MISSING


def test_before_the_first_file_both_tokens_may_be_changed_and_after_it_one(first: Record) -> None:
    assert make(first, supplied(1), supplied(2)).changed
    before = [token.certificate for token in first.store.read(tokens.current)]
    with pytest.raises(ConflictError, match="the two security tokens cannot be changed at the same time"):
        make(first, supplied(1), supplied(2))
    assert [token.certificate for token in first.store.read(tokens.current)] == before
    assert make(first, tokens.Supplied(1)).changed
    assert not make(first, tokens.Supplied(1)).changed
    first.store.read(lambda c: ctl_file.sweep_keys(Transaction(c, first.context)))
    assert len(list(first.context.token_directory.iterdir())) == 3  # with the signer of phones' files
    assert first.acts().count("change security token") == 3


def test_a_token_is_in_one_slot_only(first: Record) -> None:
    mine = supplied(1)
    make(first, mine)
    with pytest.raises(InvalidRequestError, match="a different token"):
        make(first, replace(mine, slot=2))


def test_a_server_that_shares_the_database_leaves_the_first_nodes_entry_alone(first: Record) -> None:
    other = replace(first.context, node_name="node9")
    first.run(lambda c: nodes.register_first(Transaction(c, other), 9443, OTHER_PEM))
    assert [node.name for node in first.store.read(nodes.all_nodes)] == ["127.0.0.1"]
    first.run(lambda c: nodes.register_first(Transaction(c, other), 9443, RSA_PEM))
    assert [(node.name, node.administration_port) for node in first.store.read(nodes.all_nodes)] == [("node9", 9443)]


def test_a_node_that_runs_neither_call_processing_nor_tftp_has_no_record(first: Record) -> None:
    make(first)
    item = nodes.WantedNode("node2", administration_certificate=OTHER_PEM, call_processing=False, tftp=False)
    first.run(lambda c: nodes.ensure(Transaction(c, first.context, "test"), [item], "present"))
    assert status(first).state is Freshness.CURRENT
    first.run(
        lambda c: nodes.ensure(Transaction(c, first.context, "test"), [nodes.WantedNode("node2", tftp=True)], "present")
    )
    assert status(first).reasons == ["node node2 was added"]
    roles = [record["role"] for record in make(first).after["records"]]
    assert roles == ["SAST", "SAST", ctl.Role.CCM_TFTP.name, ctl.Role.TFTP.name, ctl.Role.TFTP.name]
