# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks that a value has the kind of its column, because SQLite stores a text in a column for numbers too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Boolean, Column, Connection, Dialect, Integer, LargeBinary, String, Table, func, select
from sqlalchemy.types import TypeDecorator, TypeEngine

from capf.model import DamagedError, Fault

_KINDS: dict[type[TypeEngine[Any]], tuple[type, str]] = {
    Boolean: (int, "true or false"),
    Integer: (int, "a number"),
    LargeBinary: (bytes, "binary data"),
    String: (str, "text"),
}
_STORED_AS = {int: "integer", bytes: "blob", str: "text"}
_TODO = "correct it with sqlite3, or restore a backup"


class _Checked(TypeDecorator[Any]):
    """The type of a column whose values are checked as SQLite returns them."""

    impl = Integer
    cache_ok = True

    def __init__(self, type_: TypeEngine[Any], where: str) -> None:
        super().__init__()
        self.impl = type_  # type: ignore[assignment]
        self.where = where

    def copy(self, **_unused: Any) -> _Checked:
        return _Checked(self.impl_instance, self.where)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        convert = super().result_processor(dialect, coltype)
        if dialect.name != "sqlite":
            return convert
        kind = self.kind

        def check(value: Any) -> Any:
            if value is not None and not isinstance(value, kind):
                raise DamagedError(self.fault())
            return value if convert is None else convert(value)

        return check

    @property
    def python_type(self) -> type:
        """The Python type of the values in rows."""
        return self.impl_instance.python_type

    @property
    def kind(self) -> type:
        """The Python type of the values as SQLite returns them."""
        return self._found()[0]

    def fault(self) -> Fault:
        """Return the fault of a column with another kind of value."""
        return Fault(self.where, f"a row has a value that is not {self._found()[1]}", _TODO)

    def _found(self) -> tuple[type, str]:
        return next(found for base, found in _KINDS.items() if isinstance(self.impl_instance, base))


def verify(connection: Connection, tables: Iterable[Table]) -> None:
    """Check all values of tables, before an answer begins that cannot be taken back; DamagedError names a column."""
    for table in tables if connection.dialect.name == "sqlite" else ():
        types = {column: column.type for column in table.columns if isinstance(column.type, _Checked)}
        stored = ((func.typeof(column), _STORED_AS[kept.kind]) for column, kept in types.items())
        wrong = [func.max(kind.not_in((wanted, "null"))) for kind, wanted in stored]
        found = connection.execute(select(*wrong)).one() if wrong else ()
        for kept, is_wrong in zip(types.values(), found, strict=True):
            if is_wrong:
                raise DamagedError(kept.fault())


def check(column: Column[Any]) -> None:
    """Check the values of this column from now on; DamagedError where one is of another kind."""
    column.type = _Checked(column.type, f"table {column.table.name}, column {column.name}")
