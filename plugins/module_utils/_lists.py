# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists of phones, which are read completely or refused with the line that is wrong."""

from __future__ import annotations

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ._client import CapfError, Client
from ._files import read as read_file
from ._paths import absolute
from ._phone_fields import IMPORT_COLUMNS, LIST_COLUMNS, PHONE_SETTINGS, REPORT_TITLES
from ._tables import Column, Columns, ListError
from ._tables import read as read_table

PHONE_COLUMNS = ("device_name", *PHONE_SETTINGS)
SECRET_COLUMN = "authentication_string"
_PHONES = Columns([Column(*column) for column in LIST_COLUMNS], REPORT_TITLES)
_IMPORTED = Columns([Column(*column) for column in IMPORT_COLUMNS], REPORT_TITLES)
_PLACE = re.compile(r"\b(?:phones|items|names)\[([0-9]+)\]")


class Rows:
    """The phones of a file, one mapping each, and the line (or C(unit)) from which each of them comes.

    C(warnings) name the columns that were not read.
    """

    def __init__(
        self,
        path: str,
        phones: list[dict[str, t.Any]],
        lines: list[t.Any],
        warnings: t.Sequence[str] = (),
        unit: str = "line",
    ) -> None:
        self.path = path
        self.phones = phones
        self.lines = lines
        self._warnings = warnings
        self._unit = unit

    @property
    def names(self) -> list[str]:
        """The device names."""
        return [phone["device_name"] for phone in self.phones]

    def only(self, names: list[str] | None) -> Rows:
        """Return the rows with these device names, or all rows for None; CapfError if a name is not in the file."""
        if names is None:
            return self
        wanted = set(names)
        for name in sorted(wanted.difference(self.names)):
            raise CapfError(f"only: {name!r} is not in {self.path}; give device names of that file")
        kept = [index for index, name in enumerate(self.names) if name in wanted]
        phones, lines = [self.phones[index] for index in kept], [self.lines[index] for index in kept]
        return Rows(self.path, phones, lines, self._warnings, self._unit)

    def send(
        self, client: Client, method: str, path: str, body: dict[str, t.Any], extra_seconds: int = 0
    ) -> dict[str, t.Any]:
        """Return the answer to a request about these phones; CapfError names the lines of the file."""
        try:
            return client.send(method, path, body, extra_seconds)
        except CapfError as error:
            raise self.located(error) from None

    def warn(self, module: AnsibleModule) -> Rows:
        """Warn about columns that were not read, and return the rows."""
        for warning in self._warnings:
            module.warn(warning)
        return self

    def located(self, error: CapfError) -> CapfError:
        """Return the server's error with the file's lines instead of the request's indexes."""
        if not error.problems or not self.lines:
            return error
        problems = [
            dict(problem, field=self._field(problem["field"]), message=_PLACE.sub(self._place, problem["message"]))
            for problem in error.problems
        ]
        return error.located(problems)

    def _field(self, field: str) -> str:
        found = _PLACE.match(field)
        if found is None:
            return field
        return "{} {}{}".format(self.path, self._place(found), field[found.end() :].replace(".", " ", 1))

    def _place(self, found: t.Match[str]) -> str:
        index = int(found.group(1))
        return f"{self._unit} {self.lines[index]}" if index < len(self.lines) else found.group()


def read(path: str) -> Rows:
    """Return the phones of a list without empty cells and without C(lab_) columns; CapfError names the wrong line."""
    return _read(path, _PHONES)


def read_import(path: str) -> Rows:
    """Return the phones of a CAPF report or another list of an earlier CAPF; CapfError names the wrong line."""
    return _read(path, _IMPORTED)


def _read(path: str, columns: Columns) -> Rows:
    path = absolute(path)
    try:
        table = read_table(path, read_file("csv_file", path), columns)
    except ListError as error:
        raise CapfError(str(error)) from None
    return Rows(path, table.phones, table.lines, table.warnings)


def selected(module: AnsibleModule) -> Rows:
    """Return the phones of the option O(csv_file) or, by their names alone, of O(phones); warn of what is not read."""
    if module.params["csv_file"] is None:
        return Rows("", [{"device_name": name} for name in module.params["phones"]], [])
    return read(module.params["csv_file"]).warn(module)
