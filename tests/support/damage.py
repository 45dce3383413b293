# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damages to a server's files and rows, one at a time, and a node with every kind of them (P36)."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capf.model import Operation
from capf.registry import parameters, phones, schedule, trace_settings
from capf.registry.transaction import Transaction
from capf.store import named_values
from support.inprocess import InProcess, new_state

A, B = "SEP00000000000A", "SEP00000000000B"
STRING, ROLLOUT = "24681357", "night"
GARBAGE = "\u20ac{[ not a value"


@dataclass(frozen=True, slots=True)
class Damage:
    """One damage of a state directory; ``named`` is a part of the server's report, None if the start repairs it."""

    what: str
    do: Callable[[Path], None]
    named: str | None
    stops_capf: bool = False

    def __str__(self) -> str:
        return self.what


def make(directory: Path) -> Path:
    """Create a stopped node with every kind of file and row; return its state directory."""
    state = new_state(directory / "whole")
    asyncio.run(_fill(state))
    return state


async def _fill(state: Path) -> None:
    node = await InProcess(state).begin()
    server, certificate = node.server, (state / "capf.crt").read_text()
    (state / "manufacturing" / "maker.pem").write_text(certificate)
    (state / "trusted" / "earlier.pem").write_text((state / "administration.crt").read_text())
    server.reload_authority()
    await node.ok("PUT", "/service", {"activated": True})
    await node.ok("PUT", "/ctl-file", {})
    await node.ok("PUT", "/capf-certificate", {"state": "prepared"})
    further = {"name": "further.example", "administration_certificate": (state / "administration.crt").read_text()}
    nobody = {"administration_address": "127.0.0.9", "administration_port": 9}
    await node.ok("PUT", "/nodes", {"nodes": [{**further, **nobody}]})
    server.store.write(_fill_settings)
    names = [{"device_name": name, "authentication_mode": "By Authentication String"} for name in (A, B)]
    server.store.write(lambda c: phones.ensure(Transaction(c, server.context, "admin"), names, "present"))
    wanted = schedule.OperationRequest(Operation.INSTALL, [schedule.RequestedPhone(A, string=STRING)])
    server.store.write(lambda c: schedule.schedule(Transaction(c, server.context, "admin"), wanted))
    await node.ok("PUT", f"/rollouts/{ROLLOUT}", {"runner": "run-1", "phones": [{"device_name": B}]})
    await node.close()


def _fill_settings(connection: Any) -> None:
    """Insert a row for every parameter and trace setting."""
    for parameter in (*parameters.SERVICE, *parameters.ENTERPRISE):
        named_values.put(connection, f"parameter:{parameter.name}", str(parameter.default))
    for setting in trace_settings.SETTINGS:
        named_values.put(connection, f"trace:{setting.name}", str(setting.default))
    named_values.put(connection, "restarts", "1")


def copy(whole: Path, directory: Path) -> Path:
    """Return a copy of a state directory that may be damaged."""
    return shutil.copytree(whole, directory / "state")


def sql(statement: str, *values: object) -> Callable[[Path], None]:
    """Return a function that runs a statement on the database."""

    def do(state: Path) -> None:
        with closing(sqlite3.connect(state / "capf.db", isolation_level=None)) as connection:
            assert connection.execute(statement, values).rowcount, statement

    return do


def write(name: str, data: bytes) -> Callable[[Path], None]:
    """Return a function that replaces the content of the only file that matches a pattern."""

    def do(state: Path) -> None:
        (path,) = sorted(state.glob(name))[:1]
        path.write_bytes(data)

    return do


def remove(name: str) -> Callable[[Path], None]:
    """Return a function that removes a file."""
    return lambda state: (state / name).unlink()


def swap(name: str) -> Callable[[Path], None]:
    """Return a function that puts an empty directory where there is a file, and an empty file for a directory."""

    def do(state: Path) -> None:
        path = state / name
        if path.is_dir():
            shutil.rmtree(path)
            path.touch()
        else:
            path.unlink(missing_ok=True)
            path.mkdir()

    return do


def of_settings(whole: Path) -> Iterator[Damage]:
    """Yield the damage of each row of the settings table."""
    with closing(sqlite3.connect(whole / "capf.db")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM settings ORDER BY name")]
    for name in names:
        stops = name.startswith("parameter:") or name in ("activated", "strings key")
        named = None if name in _FREE else "strings.key" if name == "strings key" else name
        yield Damage(
            f"settings-{name}", sql("UPDATE settings SET value = ? WHERE name = ?", GARBAGE, name), named, stops
        )


_FREE = ("probe", "administrator")
"""Settings that may be any text."""
SETTINGS_SEEN = {
    "activated", "activations", "administrator", "password", "restarts", "strings key",
    "tokens when the next CAPF certificate was prepared",
}  # fmt: skip
OTHERS = (
    Damage("no-administrator", sql("DELETE FROM settings WHERE name = 'administrator'"), "administrator"),
    Damage("no-password", sql("DELETE FROM settings WHERE name = 'password'"), "password"),
    Damage("ctl-row", sql("UPDATE ctl_file SET data = x'0102030405'"), "ctl_file"),
    Damage("token-row", sql("UPDATE security_tokens SET certificate = x'3000' WHERE slot = 1"), "security_tokens"),
    Damage("node-row", sql("UPDATE nodes SET administration_certificate = 'x' WHERE name LIKE 'fur%'"), "further.exa"),
    Damage("first-node-row", sql("UPDATE nodes SET administration_certificate = 'x' WHERE first_node"), None),
    Damage("rollout-settings", sql("UPDATE rollouts SET settings = ?", GARBAGE), ROLLOUT),
    Damage("rollout-settings-empty", sql("UPDATE rollouts SET settings = '{}'"), ROLLOUT),
    Damage("rollout-settings-strange", sql("UPDATE rollouts SET settings = ?", '{"spread_by": "none", "x": 1}'), "rol"),
    Damage("rollout-skipped", sql("UPDATE rollouts SET skipped = ?", GARBAGE), ROLLOUT),
    Damage(
        "settings-not-utf8",
        sql("UPDATE settings SET value = CAST(x'c328' AS TEXT) WHERE name = 'restarts'"),
        "restarts",
    ),
    Damage("phone-not-utf8", sql("UPDATE phones SET description = CAST(x'c328' AS TEXT)"), None),
    Damage("guessing-clock-lost", sql("DELETE FROM guessing_clock"), None),
    Damage("guessing-clock", sql("UPDATE guessing_clock SET seconds = ?", GARBAGE), None),
    Damage("audit-head", sql("DELETE FROM audit_head"), "audit_head"),
    Damage("string", sql("UPDATE operations SET authentication_string = x'00' WHERE device_name = ?", A), A),
    Damage("capf.key-empty", write("capf.key", b""), "capf.key", True),
    Damage("capf.key-garbage", write("capf.key", GARBAGE.encode()), "capf.key", True),
    Damage("capf.key-missing", remove("capf.key"), "capf.key", True),
    Damage("capf.key-open", lambda state: (state / "capf.key").chmod(0o644), "capf.key", True),
    Damage("strings.key-empty", write("strings.key", b""), "strings.key", True),
    Damage("strings.key-other", write("strings.key", b"k" * 32), "strings.key", True),
    Damage("strings.key-missing", remove("strings.key"), "strings.key", True),
    Damage("capf.next", write("capf.next", GARBAGE.encode()), "capf.next"),
    Damage("trusted", write("trusted/*.pem", GARBAGE.encode()), "earlier.pem"),
    Damage("manufacturing", write("manufacturing/*.pem", b"-----BEGIN CERTIFICATE-----\nAA==\n"), "maker.pem"),
    Damage("token-key", write("tokens/*.key", b"short"), "tokens/"),
    Damage("ctl-file", write("CTLFile.tlv", GARBAGE.encode()), None),
    Damage("ctl-directory", swap("CTLFile.tlv"), None),
    Damage("manufacturing-file", swap("manufacturing"), "manufacturing"),
    Damage("trusted-file", swap("trusted"), "trusted"),
    Damage("tokens-file", swap("tokens"), "tokens"),
    Damage("trace-file", swap("trace"), None),
    Damage("capf.next-directory", swap("capf.next"), "capf.next"),
    Damage("capf.key-directory", swap("capf.key"), "capf.key", True),
    Damage("strings.key-directory", swap("strings.key"), "strings.key", True),
    Damage("CAPF.cer-directory", swap("CAPF.cer"), "CAPF certificate"),
    Damage("capf.crt", write("capf.crt", GARBAGE.encode()), None),
    Damage("CAPF.cer", write("CAPF.cer", GARBAGE.encode()), None),
)
WRONG_KINDS = {
    f"{table}-{column}": sql(f"UPDATE {table} SET {column} = {value}")
    for table, column, value in (
        ("phones", "key_size", "'x'"),
        ("phones", "mic", "'x'"),
        ("phones", "description", "x'c328'"),
        ("operations", "refusals", "'x'"),
        ("operations", "status", "x'c328'"),
        ("rollout_waves", "phones", "1.5"),
        ("rollout_phones", "tries", "'x'"),
    )
}
"""Values in a column for another kind of value, which SQLite stores."""
