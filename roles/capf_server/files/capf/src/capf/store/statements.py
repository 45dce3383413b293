"""Statements that sessions run: SQLAlchemy Core defines them, the database's driver runs them.

Each is compiled once for a database and a set of values; at every run only the driver's own work is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

Values = Mapping[str, Any]
_Process = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one driver takes it; ``order`` is None where parameters have names."""

    sql: str
    order: tuple[str, ...] | None
    constants: Values
    given: tuple[tuple[str, _Process], ...]
    columns: tuple[str, ...]
    found: tuple[tuple[str, _Process], ...]

    def parameters(self, values: Values) -> Any:
        """Return what the driver is given for ``values``."""
        named = {**self.constants, **values}
        for name, process in self.given:
            named[name] = process(named[name])
        return named if self.order is None else [named[name] for name in self.order]

    def row(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return a row of the driver by the columns' names."""
        row = dict(zip(self.columns, values, strict=True))
        for name, process in self.found:
            row[name] = process(row[name])
        return row


class Statement:
    """One statement; values go to it by the names of its parameters and of the columns that it sets."""

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

    def first(self, connection: Connection, values: Values) -> dict[str, Any] | None:
        """Return the first row that it finds, None when there is none."""
        form = self._form(connection, values)
        cursor = connection.connection.cursor()
        cursor.execute(form.sql, form.parameters(values))
        row = cursor.fetchone()
        return None if row is None else form.row(row)

    def all(self, connection: Connection, values: Values) -> list[dict[str, Any]]:
        """Return all rows that it finds."""
        form = self._form(connection, values)
        cursor = connection.connection.cursor()
        cursor.execute(form.sql, form.parameters(values))
        return [form.row(row) for row in cursor.fetchall()]

    def _form(self, connection: Connection, values: Values) -> _Form:
        key = (connection.dialect.name, *values)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _compile(self._clause, connection.dialect, list(values))
        return form


def _compile(clause: ClauseElement, dialect: Dialect, names: list[str]) -> _Form:
    compiled = clause.compile(dialect=dialect, column_keys=names)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - only DDL is compiled by something else
    binds = ((name, bind.type.dialect_impl(dialect).bind_processor(dialect)) for name, bind in compiled.binds.items())
    columns = getattr(clause, "selected_columns", ())
    found = ((column.name, column.type.dialect_impl(dialect).result_processor(dialect, None)) for column in columns)
    return _Form(
        sql=str(compiled),
        order=None if compiled.positiontup is None else tuple(compiled.positiontup),
        constants={name: value for name, value in compiled.params.items() if name not in names},
        given=tuple((name, process) for name, process in binds if process is not None),
        columns=tuple(column.name for column in columns),
        found=tuple((name, process) for name, process in found if process is not None),
    )
