# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a phones CSV file: the same file from which the collection registers the phones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capf import device_names
from capf.lists.tables import Column, Columns, ListError
from capf.lists.tables import read as read_table
from capf.model import (
    AUTHENTICATION_STRING,
    AUTHENTICATION_STRING_ALLOWED,
    DEVICE_NAME,
    CapfError,
)
from capf.registry.phone_fields import list_columns
from capf_lab.behaviour import Behaviour
from capf_lab.network import AVAILABLE, PhoneAddresses

_COLUMNS = Columns([*list_columns(), Column("lab_behaviour"), Column("lab_addresses")])


class CsvError(CapfError):
    """The file has a bad row; the message names file, line and column."""


@dataclass(frozen=True, slots=True)
class Row:
    """One phone to simulate. ``behaviour`` and ``addresses`` are None if the file does not specify them."""

    device_name: str
    model: str
    mic: bool
    behaviour: Behaviour | None
    addresses: PhoneAddresses | None


def read(path: Path) -> list[Row]:
    """Return the phones of a list; CsvError names the line that is wrong."""
    phones, lines = _table(path), dict[str, int]()
    for line, phone in phones:
        name = phone["device_name"]
        if not DEVICE_NAME.fullmatch(name):
            raise CsvError(str(device_names.problem(f"{path} line {line} device_name", name)))
        if lines.setdefault(name, line) != line:
            raise CsvError(f"{path} line {line} device_name: {name} is already in line {lines[name]}; list it once")
    return [_row(path, line, phone) for line, phone in phones]


def _table(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Return the line and the values of each phone."""
    try:
        table = read_table(str(path), path.read_bytes(), _COLUMNS)
    except ListError as error:
        raise CsvError(str(error)) from None
    phones = [{**phone, "device_name": device_names.read(phone["device_name"])} for phone in table.phones]
    return list(zip(table.lines, phones, strict=True))


def _row(path: Path, line: int, phone: dict[str, Any]) -> Row:
    return Row(
        device_name=phone["device_name"],
        model=phone.get("device_type", "8845").split(" ")[-1],
        mic=phone.get("mic", False),
        behaviour=_behaviour(path, line, phone.get("lab_behaviour", "")),
        addresses=_addresses(path, line, phone.get("lab_addresses", "")),
    )


def _behaviour(path: Path, line: int, text: str) -> Behaviour | None:
    if not text:
        return None
    try:
        return Behaviour(text)
    except ValueError:
        allowed = ", ".join(Behaviour)
        raise CsvError(f"{path} line {line} lab_behaviour: {text!r} is refused; allowed: {allowed}") from None


def _addresses(path: Path, line: int, text: str) -> PhoneAddresses | None:
    if not text or text in AVAILABLE:
        return AVAILABLE.get(text)
    raise CsvError(f"{path} line {line} lab_addresses: {text!r} is refused; allowed: {', '.join(AVAILABLE)}")


def strings(path: Path) -> dict[str, str]:
    """Return the authentication strings of a CSV file, or of every CSV file in a directory; empty if there is none.

    CsvError names file and line of a string that phones do not accept, but not the string.
    """
    found: dict[str, str] = {}
    for file in string_files(path):
        try:
            phones = _table(file)
        except FileNotFoundError:
            continue
        found.update(_string(phone, f"{file.absolute()} line {line}") for line, phone in phones)
    return found


def string_files(path: Path) -> list[Path]:
    """Return the files to which the rollout writes authentication strings."""
    return sorted(path.glob("*.csv")) if path.is_dir() else [path]


def _string(phone: dict[str, Any], place: str) -> tuple[str, str]:
    given = phone.get("authentication_string", "")
    if given and not AUTHENTICATION_STRING.fullmatch(given):
        message = f"this value is refused; allowed: {AUTHENTICATION_STRING_ALLOWED}"
        raise CsvError(f"{place} authentication_string: {message}")
    return phone["device_name"], given
