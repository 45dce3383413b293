# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements that sessions run: each is parsed once, whatever it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from support.record import BY_STRING, CODE, Record, public_key, recording

_ALLOWED = 0
NAMES = [f"SEP00112233445{digit}" for digit in range(4)]


@pytest.fixture
def record(tmp_path: Path, signer: tuple[Any, Any]) -> Iterator[Record]:
    """A record in SQLite, which says through its authorizer what it parses."""
    with recording(f"sqlite:///{tmp_path}/capf.db", tmp_path, signer) as opened:
        yield opened


@pytest.mark.parametrize("mode", [BY_STRING, "By Null String"])
def test_a_session_parses_no_statement_again(record: Record, mode: str) -> None:
    password = CODE if mode == BY_STRING else ""
    parsed: Counter[Any] = Counter()

    def watch(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection

        def parsing(action: int, table: str | None, *_unused: object) -> int:
            parsed[table] += 1
            return _ALLOWED

        driver.set_authorizer(parsing)

    for name in NAMES:
        record.add(name, authentication_mode=mode)
    string = {"authentication_string": password} if password else {}
    record.plan(items=[{"device_name": name, **string} for name in NAMES])
    record.run(watch)
    for name in NAMES[:-1]:
        record.install(name, public_key(), password=password)
    assert parsed["operations"] and parsed["certificates"]
    parsed.clear()
    record.install(NAMES[-1], public_key(), password=password)
    assert not {"phones", "operations", "certificates", "audit"} & set(parsed)
