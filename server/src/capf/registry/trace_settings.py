# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trace settings: whether the server writes trace files, how much goes into them, and how many there are (R21)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from capf.model import Fault, InvalidRequestError, not_allowed
from capf.registry.parameters import Parameter, Value
from capf.registry.transaction import Transaction
from capf.store import named_values

LEVELS: Mapping[str, int] = {
    "Error": logging.ERROR,
    "Special": logging.WARNING,
    "Significant": logging.INFO,
    "Detailed": logging.DEBUG,
}
"""Debug trace levels by the words of Serviceability, each with what it adds: errors; sessions that were cut off or
malformed; every session and start of the service; every step of a session."""

SETTINGS: tuple[Parameter, ...] = (
    Parameter("trace_on", True, "Whether the server writes trace files. Serviceability calls it Trace On."),
    Parameter(
        "debug_trace_level",
        "Significant",
        "What is written: Error, only errors; Special, also sessions that were malformed or over a limit; Significant, "
        "also every session and every start of the service; Detailed, also every step of a session.",
        choices=tuple(LEVELS),
    ),
    Parameter(
        "maximum_number_of_files",
        50,
        "How many trace files are kept; the oldest is deleted when a new one is started.",
        unit="files",
        minimum=2,
        maximum=500,
    ),
    Parameter(
        "maximum_file_size",
        2,
        "The maximum size of a trace file, after which a new one is started.",
        unit="megabytes",
        minimum=1,
        maximum=10,
    ),
)


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """The trace settings, each with its value."""

    trace_on: bool
    debug_trace_level: str
    maximum_number_of_files: int
    maximum_file_size: int

    @property
    def level(self) -> int:
        """The lowest logging level that is written."""
        return LEVELS[self.debug_trace_level]


def stored(connection: Connection) -> TraceSettings:
    """Return the settings as they are."""
    texts = named_values.every(connection)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        value = setting.parse(texts.get(_key(setting.name), setting.default))
        values[setting.name] = setting.default if value is None else value
    return TraceSettings(**values)


def faults(texts: Mapping[str, str]) -> list[Fault]:
    """Return the faults of settings with invalid stored values, which have their defaults."""
    found = (setting.fault(texts, _key(setting.name), "ucm.capf.trace", stops_capf=False) for setting in SETTINGS)
    return [fault for fault in found if fault is not None]


def _key(name: str) -> str:
    return f"trace:{name}"


def show(now: TraceSettings, in_force: TraceSettings) -> list[dict[str, Any]]:
    """Return every setting with its value, the value in force, default, range and help."""
    values, running = asdict(now), asdict(in_force)
    return [setting.show(values[setting.name], running[setting.name]) for setting in SETTINGS]


def change(tx: Transaction, wanted: Mapping[str, object]) -> tuple[dict[str, Value], dict[str, Value]]:
    """Change the settings that are given; returns (before, after) of those that change.

    InvalidRequestError lists every value that is not allowed. The server applies them after the commit.
    """
    parsed = {setting: setting.parse(wanted[setting.name]) for setting in SETTINGS if setting.name in wanted}
    problems = [
        not_allowed(setting.name, str(wanted[setting.name]), setting.allowed)
        for setting, value in parsed.items()
        if value is None
    ]
    if problems:
        raise InvalidRequestError(problems)
    now, texts = asdict(stored(tx.connection)), named_values.every(tx.connection)
    damaged = {fault.where for fault in faults(texts)}
    now |= {item.name: texts[_key(item.name)] for item in parsed if any(_key(item.name) in where for where in damaged)}
    after = {item.name: value for item, value in parsed.items() if value is not None and value != now[item.name]}
    for name, value in after.items():
        named_values.put(tx.connection, _key(name), str(value))
    if after:
        tx.audit("change trace settings", **after)
    return {name: now[name] for name in after}, after
