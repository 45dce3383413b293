# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The server's configuration: a TOML file becomes frozen settings, or one error that lists all problems."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from capf.model import InvalidRequestError, Problem, not_allowed
from capf.node.node_setting import NodeKind, NodeSetting
from capf.node.node_settings import NodeSettings, described


class _Table:
    """Reads one table of the file and collects its problems."""

    def __init__(self, document: Mapping[str, Any], name: str, problems: list[Problem]) -> None:
        table = document.get(name, {})
        self._name = name
        self._problems = problems
        self._left = dict(table) if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            self._wrong("", table, "a table")

    def _wrong(self, key: str, value: object, allowed: str) -> None:
        self._problems.append(not_allowed(self._field(key), str(value), allowed))

    def _field(self, key: str) -> str:
        return f"{self._name}.{key}".rstrip(".")

    def text(self, key: str, default: str | None = None) -> str:
        """Take a string, which must not be empty unless its default is."""
        value = self._left.pop(key, default)
        if isinstance(value, str) and (value or default == ""):
            return value
        if value is None:
            self._problems.append(Problem(self._field(key), "", "this setting is required"))
        else:
            self._wrong(key, value, "text")
        return ""

    def number(self, key: str, default: int, minimum: int, maximum: int) -> int:
        """Take a whole number within bounds."""
        value = self._left.pop(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        self._wrong(key, value, f"a whole number from {minimum} to {maximum}")
        return default

    def flag(self, key: str, default: bool) -> bool:
        """Take true or false."""
        value = self._left.pop(key, default)
        if isinstance(value, bool):
            return value
        self._wrong(key, value, "true or false")
        return default

    def texts(self, key: str, default: tuple[str, ...], most: int | None = None) -> tuple[str, ...]:
        """Take a list of strings, of at most ``most``."""
        value = self._left.pop(key, list(default))
        if (
            isinstance(value, list)
            and all(isinstance(item, str) for item in value)
            and len(value) <= (most or len(value))
        ):
            return tuple(value)
        self._wrong(key, value, "a list of strings" if most is None else f"a list of at most {most} strings")
        return default

    def addresses(self, key: str, default: tuple[str, ...], minimum: int) -> tuple[str, ...]:
        """Take a list of IP addresses, of at least ``minimum``."""
        values = self.texts(key, default)
        if len(values) < minimum:
            message = "at least one address is required, because nobody could reach the server otherwise"
            self._problems.append(Problem(self._field(key), str(list(values)), message))
        for value in values:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                self._wrong(key, value, "IPv4 or IPv6 addresses")
        return values

    def networks(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Take a list of IP addresses and networks."""
        values = self.texts(key, default)
        for value in values:
            try:
                ipaddress.ip_network(value, strict=False)
            except ValueError:
                self._wrong(key, value, "IPv4 or IPv6 addresses or networks, such as 192.0.2.0/24")
        return values

    def end(self) -> None:
        """Report every unknown key."""
        for key, value in self._left.items():
            message = "unknown setting; correct its name, or remove it"
            self._problems.append(Problem(self._field(key), str(value), message))


def _place(error: tomllib.TOMLDecodeError) -> str:
    """Return where the file stops being valid TOML, empty if that is unknown."""
    found = re.search(r"line \d+, column \d+", str(error))
    return f" at {found[0]}" if found else ""


def parse(text: str) -> NodeSettings:
    """Return the settings of a TOML text; InvalidRequestError with all problems at once."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequestError([Problem("file", "", f"not valid TOML{_place(error)}; correct the file")]) from None
    problems: list[Problem] = []
    names = tuple(dict.fromkeys(setting.table for setting in described().values()))
    problems += [
        Problem(name, "", f"unknown table; the tables are {', '.join(names)}") for name in document if name not in names
    ]
    tables = {name: _Table(document, name, problems) for name in names}
    settings = _settings(tables)
    for table in tables.values():
        table.end()
    if settings.files_enabled and settings.files_port == settings.administration_port:
        message = "this is the port of administration; choose another one, or set files.enabled to false"
        problems.append(Problem("files.port", str(settings.files_port), message))
    if problems:
        raise InvalidRequestError(problems)
    return settings


def _settings(tables: Mapping[str, _Table]) -> NodeSettings:
    values = dict[str, Any]()
    for name, setting in described().items():
        values[name] = _take(tables[setting.table], setting.key(name), setting, _default(setting, values))
    return NodeSettings(**values)


def _default(setting: NodeSetting, values: Mapping[str, Any]) -> Any:
    """Return a setting's default, which may depend on the values of settings before it."""
    if setting.half_of:
        return max(1, values[setting.half_of] // 2)
    return setting.default.format(**values) if isinstance(setting.default, str) else setting.default


def _take(table: _Table, key: str, setting: NodeSetting, default: Any) -> Any:
    """Return the value of a setting; its problems are collected in its table."""
    match setting.kind:
        case NodeKind.NUMBER:
            return table.number(key, default, setting.minimum, setting.maximum)
        case NodeKind.FLAG:
            return table.flag(key, default)
        case NodeKind.TEXT:
            return table.text(key, default)
        case NodeKind.PATH:
            text = table.text(key, default)
            return Path(text) if text else None
        case NodeKind.TEXTS:
            return table.texts(key, default, setting.maximum or None)
        case NodeKind.ADDRESSES:
            return table.addresses(key, default, setting.minimum)
        case NodeKind.NETWORKS:
            return table.networks(key, default)


def load(path: Path) -> NodeSettings:
    """Return the settings of a file; InvalidRequestError if it cannot be read or contains an error."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); give a readable file"
        raise InvalidRequestError([Problem("file", str(path), message)]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"{path} line {line} is not valid UTF-8; save the file as UTF-8"
        raise InvalidRequestError([Problem("file", str(path), message)]) from None
