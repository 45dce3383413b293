# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF certificate is renewed in the safe order: phones know the next one before it is activated (P30)."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from capf.certificates import ctl
from capf.certificates.authority import Authority, make_capf_certificate
from capf.certificates.keystore import Keystore
from capf.model import ConflictError
from capf.registry import capf_certificate, ctl_file, tokens
from capf.registry.transaction import Transaction
from support.record import Record
from support.rollouts import abort, begin

CTL_FILE = Path(__file__).parents[1] / "vectors" / "ctl" / "CTLFile-sha512.tlv"


def test_p30_the_next_certificate_waits_for_a_ctl_file_that_lists_it(record: Record, tmp_path: Path) -> None:
    key, current = make_capf_certificate(os.urandom, time.time(), "ucm.capf", "CAPF")
    _key, following = make_capf_certificate(os.urandom, time.time(), "ucm.capf", "CAPF")
    record.context.authority = Authority(key, current, os.urandom, following=following)
    wanted = capf_certificate.Renewal("active", None, None, False)
    distributed = ctl.read(CTL_FILE.read_bytes())
    with pytest.raises(ConflictError, match="does not list CAPF-"):
        record.run(
            lambda c: capf_certificate.renew(
                Transaction(c, record.context, "test"), Keystore(tmp_path), distributed, wanted
            )
        )
    assert record.acts() == []


def prepare(record: Record, keys: Keystore, held: ctl.CtlFile | None, **options: Any) -> bool:
    """Prepare the next certificate, and return whether that is a change."""
    wanted = capf_certificate.Renewal("prepared", **options)
    return record.run(
        lambda c: capf_certificate.renew(Transaction(c, record.context, "test"), keys, held, wanted)
    ).changed


def test_p55_no_renewal_begins_or_ends_while_a_rollout_is_running(ready: Record, tmp_path: Path) -> None:
    key, current = make_capf_certificate(os.urandom, time.time(), "ucm.capf", "CAPF")
    _key, following = make_capf_certificate(os.urandom, time.time(), "ucm.capf", "CAPF")
    begin(ready)
    refused = "rollouts are running: night; renew the CAPF certificate after their end, or abort them"
    with pytest.raises(ConflictError, match=refused):
        prepare(ready, Keystore(tmp_path), None)
    assert prepare(ready, Keystore(tmp_path), None, force=True)
    ready.context.authority = Authority(key, current, os.urandom, following=following)
    wanted = capf_certificate.Renewal("active")
    with pytest.raises(ConflictError, match=refused):
        ready.run(
            lambda c: capf_certificate.renew(Transaction(c, ready.context, "test"), Keystore(tmp_path), None, wanted)
        )
    abort(ready)
    assert prepare(ready, Keystore(tmp_path), None)


def test_p55_no_renewal_begins_whose_ctl_file_could_not_be_signed(record: Record, tmp_path: Path) -> None:
    def make(connection: Connection) -> ctl.CtlFile:
        tx = Transaction(connection, record.context, "test")
        tokens.make_missing(tx)
        ctl_file.make_current(tx, ctl_file.Options(), [])
        held = ctl_file.last(connection)
        assert held is not None
        return held.file

    held = record.run(make)
    assert prepare(record, Keystore(tmp_path), held)
    for path in record.context.token_directory.iterdir():
        path.unlink()
    with pytest.raises(ConflictError, match="the key of security token 1 is not on this server"):
        prepare(record, Keystore(tmp_path), held)
