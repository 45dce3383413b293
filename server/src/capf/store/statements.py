# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Statements that sessions run: SQLAlchemy Core defines them, the database's driver runs them.

Each is compiled once for a database and a set of values; at every run only the driver's own work is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

R = TypeVar("R")
BATCH = 5000
"""Names in one IN list; SQLite allows 32,766 variables."""
Values = Mapping[str, Any]
_Process = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one driver takes it; ``order`` is None where parameters have names."""

    sql: str
    order: tuple[str, ...] | None
    constants: Values
    given: tuple[tuple[str, _Process], ...]
    found: tuple[tuple[int, _Process], ...]

    def parameters(self, values: Values) -> Any:
        """Return what the driver is given for ``values``."""
        named = {**self.constants, **values}
        for name, process in self.given:
            named[name] = process(named[name])
        return named if self.order is None else [named[name] for name in self.order]

    def row(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return a row of the driver with Python's values, in the order of the columns."""
        if not self.found:
            return values
        row = list(values)
        for at, process in self.found:
            row[at] = process(row[at])
        return row


class Statement:
    """One statement that changes rows, given values by the names of its parameters and of the columns that it sets."""

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._forms: dict[tuple[str, ...], _Form] = {}

    def run(self, connection: Connection, values: Values) -> int:
        """Run it; returns how many rows it changed."""
        form = self._form(connection, values)
        cursor = connection.connection.cursor()
        cursor.execute(form.sql, form.parameters(values))
        return cursor.rowcount

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Run it once for each of ``rows``, which have the same keys; there is at least one."""
        form = self._form(connection, rows[0])
        connection.connection.cursor().executemany(form.sql, [form.parameters(values) for values in rows])

    def _form(self, connection: Connection, values: Values) -> _Form:
        key = (connection.dialect.name, *values)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _compile(self._clause, connection.dialect, list(values))
        return form


class Query(Statement, Generic[R]):
    """One statement that finds rows; ``make`` makes a typed row of the columns' values."""

    def __init__(self, make: Callable[[Sequence[Any]], R], clause: ClauseElement) -> None:
        super().__init__(clause)
        self._make = make

    def first(self, connection: Connection, values: Values) -> R | None:
        """Return the first row that it finds, None when there is none."""
        form = self._form(connection, values)
        cursor = connection.connection.cursor()
        cursor.execute(form.sql, form.parameters(values))
        row = cursor.fetchone()
        return None if row is None else self._make(form.row(row))

    def all(self, connection: Connection, values: Values) -> list[R]:
        """Return all rows that it finds."""
        form = self._form(connection, values)
        cursor = connection.connection.cursor()
        cursor.execute(form.sql, form.parameters(values))
        return [self._make(form.row(row)) for row in cursor.fetchall()]


def rows_of(connection: Connection, make: Callable[[Iterable[Any]], R], query: Executable) -> list[R]:
    """Return what a query finds that many rows answer, each made by ``make``."""
    return [make(row) for row in connection.execute(query)]


def batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Divide a long list into parts that fit into one statement."""
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))


def _compile(clause: ClauseElement, dialect: Dialect, names: list[str]) -> _Form:
    compiled = clause.compile(dialect=dialect, column_keys=names)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - only DDL is compiled by something else
    binds = ((name, bind.type.dialect_impl(dialect).bind_processor(dialect)) for name, bind in compiled.binds.items())
    columns = getattr(clause, "selected_columns", ())
    found = (
        (at, column.type.dialect_impl(dialect).result_processor(dialect, None)) for at, column in enumerate(columns)
    )
    return _Form(
        sql=str(compiled),
        order=None if compiled.positiontup is None else tuple(compiled.positiontup),
        constants={name: value for name, value in compiled.params.items() if name not in names},
        given=tuple((name, process) for name, process in binds if process is not None),
        found=tuple((at, process) for at, process in found if process is not None),
    )
