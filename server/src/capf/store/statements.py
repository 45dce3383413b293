# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of sessions: defined by SQLAlchemy Core, run by the database's driver.

Each is compiled once for a database and a set of values, so that a run costs only the driver's work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import BindParameter, ColumnElement, Connection, Dialect, Executable, literal_column
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement
from sqlalchemy.sql.visitors import replacement_traverse

R = TypeVar("R")
BATCH = 5000
"""Names in one IN list; SQLite allows 32,766 variables."""
Values = Mapping[str, Any]
_Process = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement in the form of one driver; ``order`` is None if its parameters have names."""

    sql: str
    order: tuple[str, ...] | None
    constants: Values
    given: tuple[tuple[str, _Process], ...]
    found: tuple[tuple[int, _Process], ...]

    def parameters(self, values: Values) -> Any:
        """Return the driver's parameters for ``values``."""
        if self.constants or self.given:
            values = self._converted(values)
        return values if self.order is None else [values[name] for name in self.order]

    def _converted(self, values: Values) -> Values:
        named = {**self.constants, **values}
        for name, process in self.given:
            named[name] = process(named[name])
        return named

    def row(self, values: Sequence[Any]) -> Sequence[Any]:
        """Convert a row of the driver to Python values, in the order of the columns."""
        if not self.found:
            return values
        row = list(values)
        for at, process in self.found:
            row[at] = process(row[at])
        return row


class Statement:
    """A statement that changes rows. Values are given by the names of its parameters and its columns."""

    def __init__(self, clause: ClauseElement) -> None:
        self._clause = clause
        self._forms: dict[tuple[str, ...], _Form] = {}

    def run(self, connection: Connection, values: Values) -> int:
        """Run it; return the number of changed rows."""
        form = self._form(connection, values)
        cursor = _cursor(connection)
        cursor.execute(form.sql, form.parameters(values))
        return cursor.rowcount

    def run_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Run it once for each of ``rows``, which have the same keys and are not empty."""
        form = self._form(connection, rows[0])
        _cursor(connection).executemany(form.sql, [form.parameters(values) for values in rows])

    def _form(self, connection: Connection, values: Values) -> _Form:
        key = (connection.dialect.name, *values)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _compile(self._clause, connection.dialect, list(values))
        return form


class Query(Statement, Generic[R]):
    """A statement that finds rows; ``make`` makes a typed row from the values of the columns."""

    def __init__(self, make: Callable[[Sequence[Any]], R], clause: ClauseElement) -> None:
        super().__init__(clause)
        self._make = make

    def first(self, connection: Connection, values: Values) -> R | None:
        """Return the first row, None if there is none."""
        form = self._form(connection, values)
        cursor = _cursor(connection)
        cursor.execute(form.sql, form.parameters(values))
        row = cursor.fetchone()
        return None if row is None else self._make(form.row(row))

    def all(self, connection: Connection, values: Values) -> list[R]:
        """Return all rows."""
        form = self._form(connection, values)
        cursor = _cursor(connection)
        cursor.execute(form.sql, form.parameters(values))
        return [self._make(form.row(row)) for row in cursor.fetchall()]


def rows_of(connection: Connection, make: Callable[[Iterable[Any]], R], query: Executable) -> list[R]:
    """Return the many rows of a query, each made by ``make``; they are fetched in parts, which costs least."""
    return [make(row) for part in connection.execute(query).partitions(BATCH) for row in part]


def batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Divide a list into parts that are short enough for one statement."""
    return (values[start : start + BATCH] for start in range(0, len(values), BATCH))


def _cursor(connection: Connection) -> DBAPICursor:
    """Return a cursor of the driver's own connection."""
    driver = connection.connection.dbapi_connection
    assert driver is not None  # noqa: S101 - the connection is open
    return driver.cursor()


def _with_constants(clause: ClauseElement, dialect: Dialect) -> ClauseElement:
    """Return the statement with the constants that rows are compared with in its text.

    If whether a partial index can be used depends on a parameter, SQLite parses the statement again at every run.
    """

    def text_of(element: object, **_unused: Any) -> ColumnElement[Any] | None:
        if not isinstance(element, BindParameter) or element.required:
            return None
        return literal_column(str(element.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))

    return cast(ClauseElement, replacement_traverse(clause, {}, text_of))


def _compile(clause: ClauseElement, dialect: Dialect, names: list[str]) -> _Form:
    compiled = _with_constants(clause, dialect).compile(dialect=dialect, column_keys=names)
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
