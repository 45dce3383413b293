# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of an earlier CAPF: its CAPF report or another CSV file, or the database of the public C(capfd)."""

from __future__ import annotations

import sqlite3
import typing as t
from contextlib import closing
from urllib.parse import quote

from ._client import CapfError
from ._csv import FLAGS, PHONE_COLUMNS, SECRET_COLUMN, Rows, named, read_table, whole
from ._paths import absolute
from ._phone_fields import PHONE_SETTINGS, REPORT_COLUMNS

_TAKEN_FROM_REPORT = dict(
    {name: name for name in PHONE_COLUMNS},
    certificate_operation="operation",
    authentication_string=SECRET_COLUMN,
    operation_completes_by="completes_by",
)
REPORT_TAKEN = {title: _TAKEN_FROM_REPORT[name] for title, name in REPORT_COLUMNS.items() if name in _TAKEN_FROM_REPORT}
CSV_COLUMNS = (*PHONE_COLUMNS, "operation", SECRET_COLUMN, "completes_by", "certificate", "serial_number")
_FORMULA = ("'=", "'+", "'-", "'@", "'\t", "'\r")
_NULL_STRING = "By Null String"
_BY_LSC = "By Existing Certificate (precedence to LSC)"
OPERATIONS = {
    "install": "Install/Upgrade",
    "delete": "Delete",
    "fetch": "Troubleshoot",
    "none": "No Pending Operation",
}
MODES = {
    "no password": _NULL_STRING,
    "none": _NULL_STRING,
    "null": _NULL_STRING,
    "password": "By Authentication String",
    "certificate": _BY_LSC,
    "lsc": _BY_LSC,
    "mic": "By Existing Certificate (precedence to MIC)",
}
CURVES = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}
_BY_STRING = MODES["password"]


def read_csv(path: str) -> Rows:
    """Return the phones of a CAPF report or of a CSV file with field names; CapfError names the line that is wrong."""
    path = absolute(path)
    columns, lines = read_table(path)
    report = "Device Name" in columns
    allowed = tuple(REPORT_COLUMNS) if report else CSV_COLUMNS
    for column in columns:
        if column not in allowed:
            unknown = "{0} line 1: column {1!r} is unknown; allowed: {2}"
            raise CapfError(unknown.format(path, named(column), ", ".join(allowed)))
    if not report and "device_name" not in columns:
        raise CapfError(f"{path} line 1: the column device_name is missing")
    phones = [_report_row(cells) if report else _row(path, line, cells) for line, cells in lines]
    return Rows(path, phones, [line for line, cells in lines])


def _report_row(cells: dict[str, str]) -> dict[str, t.Any]:
    """Return a row of the report without the quotes that keep a spreadsheet from reading a cell as a formula."""
    plain = {name: cell[1:] if cell.startswith(_FORMULA) else cell for name, cell in cells.items()}
    found: dict[str, t.Any] = {
        REPORT_TAKEN[name]: cell for name, cell in plain.items() if name in REPORT_TAKEN and cell
    }
    found.setdefault("device_name", "")
    return found


def _row(path: str, line: int, cells: dict[str, str]) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {name: cell for name, cell in cells.items() if cell}
    found.setdefault("device_name", "")
    for name in found.keys() & PHONE_SETTINGS.keys():
        place = f"{path} line {line} {name}"
        if PHONE_SETTINGS[name]["type"] == "int":
            found[name] = whole(found[name], place)
        elif PHONE_SETTINGS[name]["type"] == "bool":
            found[name] = _word(found[name], FLAGS, place)
    if "operation" in found:
        found["operation"] = OPERATIONS.get(found["operation"].lower(), found["operation"])
    return found


def _word(value: t.Any, words: dict[str, t.Any], place: str) -> t.Any:
    """Return what a word means, whether it is in upper or lower case."""
    found = words.get(str(value).strip().lower())
    if found is None:
        raise CapfError("{}: {!r} is refused; allowed: {}".format(place, value, ", ".join(words)))
    return found


def read_capfd(path: str) -> Rows:
    """Return the phones in C(capfd)'s table C(devices); CapfError names the device with the wrong value."""
    path = absolute(path)
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as database:
            (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                raise CapfError(f"capfd_database: {path!r} is damaged: {said}")
            database.row_factory = sqlite3.Row
            devices = [dict(row) for row in database.execute("SELECT * FROM devices ORDER BY device_name")]
    except sqlite3.Error as error:
        raise CapfError(f"capfd_database: {path!r} is not a capfd database: {error}") from None
    phones = [_device(path, device) for device in devices]
    return Rows(path, phones, [str(phone["device_name"]) for phone in phones], "device")


def _device(path: str, device: dict[str, t.Any]) -> dict[str, t.Any]:
    if "device_name" not in device or "operation" not in device:
        raise CapfError(f"{path}: the table devices needs the columns device_name and operation")
    place = "{} device {} ".format(path, device["device_name"])
    found = {
        "device_name": str(device["device_name"]),
        "operation": _word(device["operation"] or "none", OPERATIONS, place + "operation"),
        "authentication_mode": _mode(device, place),
        "serial_number": device.get("serial_number"),
        "certificate": _text(device.get("certificate")),
    }
    curve = device.get("curve_name") or device.get("curve")
    if curve:
        found.update(key_order="EC Only", ec_key_size=_word(curve, CURVES, place + "curve_name"))
    elif device.get("key_size"):
        found.update(key_order="RSA Only", key_size=whole(device["key_size"], place + "key_size"))
    if found["authentication_mode"] == _BY_STRING and found["operation"] != OPERATIONS["none"]:
        found[SECRET_COLUMN] = _text(device.get("password"))
    return {name: value for name, value in found.items() if value}


def _mode(device: dict[str, t.Any], place: str) -> str:
    """Return the authentication mode; early databases only have a password or no password."""
    given = device.get("authentication")
    if not given:
        return _BY_STRING if device.get("password") else _NULL_STRING
    return t.cast("str", _word(given, MODES, place + "authentication"))


def _text(value: t.Any) -> t.Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
