# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Typed rows: each has the columns of its table, with their types."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from sqlalchemy import Table

from capf.store import certificate_rows, schema

WHOLE = [
    (schema.OperationRow, schema.operations),
    (schema.GuessRow, schema.guesses),
    (schema.GuessingClockRow, schema.guessing_clock),
    (schema.CertificateRow, schema.certificates),
    (schema.AuditRow, schema.audit),
    (schema.NodeRow, schema.nodes),
    (schema.SecurityTokenRow, schema.security_tokens),
    (schema.CtlFileRow, schema.ctl_file),
    (schema.RolloutRow, schema.rollouts),
    (schema.WaveRow, schema.rollout_waves),
]
PARTS = [(schema.PhoneRow, schema.phones), (certificate_rows.ConflictRow, schema.certificates)]


@pytest.mark.parametrize(("row", "table"), WHOLE, ids=lambda item: getattr(item, "name", None))
def test_a_row_has_every_column_of_its_table_in_the_same_order(row: Any, table: Table) -> None:
    assert list(row._fields) == table.columns.keys()


@pytest.mark.parametrize(("row", "table"), [*WHOLE, *PARTS], ids=lambda item: getattr(item, "name", None))
def test_a_row_has_the_types_of_its_columns(row: Any, table: Table) -> None:
    for name, hint in get_type_hints(row).items():
        column = table.columns[name]
        assert hint == (column.type.python_type | None if column.nullable else column.type.python_type), name
