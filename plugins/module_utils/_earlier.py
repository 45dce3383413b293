# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of an earlier CAPF: its CAPF report or another CSV file, or the database of the public C(capfd)."""

from __future__ import annotations

import sqlite3
import typing as t
from contextlib import closing
from urllib.parse import quote

from . import _cells as cells
from ._client import CapfError
from ._lists import SECRET_COLUMN, Rows, read_import
from ._paths import absolute

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
    """Return the phones of a CAPF report or of another list; CapfError names the line that is wrong."""
    rows = read_import(path)
    for phone in rows.phones:
        if "operation" in phone:
            phone["operation"] = OPERATIONS.get(phone["operation"].lower(), phone["operation"])
    return rows


def _word(value: t.Any, words: dict[str, t.Any], place: str) -> t.Any:
    """Return what a word means, whether it is in upper or lower case."""
    found = words.get(str(value).strip().lower())
    if found is None:
        raise CapfError("{}: {!r} is refused; allowed: {}".format(place, value, ", ".join(words)))
    return found


def _whole(value: t.Any, place: str) -> int:
    number = cells.whole(str(value))
    if number is None:
        raise CapfError(f"{place}: {cells.shown(str(value))} is refused; allowed: {cells.NUMBERS_ALLOWED}")
    return number


def read_capfd(path: str) -> Rows:
    """Return the phones in C(capfd)'s table C(devices); CapfError names the device with the wrong value."""
    path = absolute(path)
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as database:
            (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            if said != "ok":
                raise CapfError(f"capfd_database: {path!r} is damaged; give an intact copy")
            database.row_factory = sqlite3.Row
            devices = [dict(row) for row in database.execute("SELECT * FROM devices ORDER BY device_name")]
    except sqlite3.Error:
        message = f"capfd_database: {path!r} is not a capfd database, or cannot be read; give its file"
        raise CapfError(message) from None
    phones = [_device(path, device) for device in devices]
    return Rows(path, phones, [str(phone["device_name"]) for phone in phones], unit="device")


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
        found.update(key_order="RSA Only", key_size=_whole(device["key_size"], place + "key_size"))
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
