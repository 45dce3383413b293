# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that servers of one database have in common (R13)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from capf.cluster import sharing
from capf.model import CapfError

KEYS = {"strings.key": b"\x00\xff", "capf.key": b"key"}
OTHER = KEYS | {"tokens/a.key": b"token", "trusted/b.pem": b"earlier", "manufacturing/c.pem": b"maker"}


def test_r13_another_server_takes_the_keys_and_nothing_else(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
        (directory / "administration.key").write_bytes(directory.name.encode())
    sharing.take(first, OTHER)
    packed = sharing.unpack(sharing.pack(first))
    assert packed == OTHER
    assert sharing.take(second, packed, dry_run=True) == sorted(OTHER) and not sharing.files(second)
    assert sharing.take(second, packed) == sorted(OTHER) and sharing.files(second) == OTHER
    assert sharing.take(second, packed) == []
    assert sharing.take(second, KEYS | {"capf.key": b"renewed"}) == sorted(OTHER.keys() - {"strings.key"})
    assert sharing.files(second) == KEYS | {"capf.key": b"renewed"}
    assert (second / "administration.key").read_bytes() == b"second"
    assert {path.stat().st_mode & 0o777 for path in second.glob("*.key")} >= {0o600}


@pytest.mark.parametrize(
    "name", ["administration.key", "../capf.key", "tokens/../../x.key", "trusted/.x.pem", "x/y.pem"]
)
def test_other_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CapfError, match="not the keys of a CAPF server"):
        sharing.take(tmp_path, KEYS | {name: b""})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["", "[]", '{"a": 1}', '{"a": "?"}', json.dumps({"a": base64.b64encode(b"").decode()})]
)
def test_a_text_that_holds_no_keys_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CapfError, match="not the keys of a CAPF server"):
        sharing.take(tmp_path, sharing.unpack(text))
