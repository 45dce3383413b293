# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF certificate is renewed in the safe order: phones know the next one before it issues (P30)."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from capf.certificates import ctl
from capf.certificates.authority import Authority, make_capf_certificate
from capf.certificates.keystore import Keystore
from capf.model import ConflictError
from capf.registry import capf_certificate
from capf.registry.transaction import Transaction
from support.record import Record

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
