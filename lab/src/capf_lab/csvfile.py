# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads a phones CSV file: the same file from which the collection registers the phones."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from capf.model import (
    AUTHENTICATION_STRING,
    AUTHENTICATION_STRING_ALLOWED,
    DEVICE_NAME,
    DEVICE_NAME_ALLOWED,
    CapfError,
)
from capf_lab.behaviour import Behaviour
from capf_lab.network import AVAILABLE, PhoneAddresses

_TRUE = ("true", "yes", "1")


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
    """Return the phones of a CSV file with a header; CsvError names the invalid line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CsvError(f"{path} line {line}: not a CSV file in UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = list(_rows(path, reader))
    except csv.Error:
        raise CsvError(f"{path} line {reader.reader.line_num}: not valid CSV") from None
    if not rows:
        raise CsvError(f"{path}: the file contains no phones")
    return rows


def _rows(path: Path, reader: csv.DictReader[str]) -> Iterator[Row]:
    if "device_name" not in (reader.fieldnames or ()):
        raise CsvError(f"{path} line 1: the header needs the column device_name")
    lines: dict[str, int] = {}
    for row in reader:
        name = (row["device_name"] or "").strip()
        if not DEVICE_NAME.fullmatch(name):
            raise CsvError(f"{path} line {reader.line_num} device_name: {name!r} is refused; {DEVICE_NAME_ALLOWED}")
        if lines.setdefault(name, reader.line_num) != reader.line_num:
            raise CsvError(f"{path} line {reader.line_num} device_name: {name} stands in line {lines[name]} already")
        yield Row(
            device_name=name,
            model=(row.get("device_type") or "").split(" ")[-1] or "8845",
            mic=(row.get("mic") or "").lower() in _TRUE,
            behaviour=_behaviour(path, reader.line_num, row.get("lab_behaviour") or ""),
            addresses=_addresses(path, reader.line_num, row.get("lab_addresses") or ""),
        )


def _behaviour(path: Path, line: int, text: str) -> Behaviour | None:
    if not text:
        return None
    try:
        return Behaviour(text)
    except ValueError:
        allowed = ", ".join(Behaviour)
        raise CsvError(f"{path} line {line} lab_behaviour: {text!r} is refused; {allowed}") from None


def _addresses(path: Path, line: int, text: str) -> PhoneAddresses | None:
    if not text or text in AVAILABLE:
        return AVAILABLE.get(text)
    raise CsvError(f"{path} line {line} lab_addresses: {text!r} is refused; {', '.join(AVAILABLE)}")


def strings(path: Path) -> dict[str, str]:
    """Return the authentication strings of a CSV file, or of every CSV file in a directory; empty if there is none.

    CsvError names file and line of a string that phones do not accept, but not the string.
    """
    found: dict[str, str] = {}
    for file in string_files(path):
        try:
            with file.open(newline="", encoding="utf-8-sig") as handle:
                reader = csv.DictReader(handle)
                found.update(_string(row, f"{file.absolute()} line {reader.line_num}") for row in reader)
        except FileNotFoundError:
            continue
    return found


def string_files(path: Path) -> list[Path]:
    """Return the files to which the rollout writes authentication strings."""
    return sorted(path.glob("*.csv")) if path.is_dir() else [path]


def _string(row: dict[str, str], place: str) -> tuple[str, str]:
    name = row.get("device_name") or row.get("Device Name") or ""
    given = (row.get("authentication_string") or row.get("Authentication String") or "").strip()
    if given and not AUTHENTICATION_STRING.fullmatch(given):
        raise CsvError(f"{place} authentication_string: (hidden) is refused; {AUTHENTICATION_STRING_ALLOWED}")
    return name, given
