# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Refuses lists that are given and empty, and numbers that are too small, the same way for every module."""

from __future__ import annotations

import typing as t

from ._client import CapfError

_REFUSED = "The server was not asked"
_EMPTY = "this is empty, which could mean all or none; give at least one item, or leave the option out"
_MINIMUM = {"progress_interval": 1}
"""The smallest value of options that are not sent to the server, where it is not 0."""


def refuse_empty(options: dict[str, t.Any], given: dict[str, t.Any]) -> None:
    """Check the values that are given for a module's options; CapfError names each that is empty or too small."""
    problems = list(_problems(options, given, ""))
    if problems:
        raise CapfError(_REFUSED, problems)


def _problems(options: dict[str, t.Any], given: dict[str, t.Any], where: str) -> t.Iterator[dict[str, str]]:
    for name, option in options.items():
        value, field = given.get(name), where + name
        if value in ([], {}) and option["type"] in ("list", "dict"):
            yield {"field": field, "value": str(value), "message": _EMPTY}
        elif option["type"] == "int" and value is not None and value < _MINIMUM.get(name, 0):
            message = f"'{value}' is refused; allowed: at least {_MINIMUM.get(name, 0)}"
            yield {"field": field, "value": str(value), "message": message}
        elif option["type"] == "list" and "options" in option:
            for index, item in enumerate(value or ()):
                yield from _problems(option["options"], item, f"{field}[{index}].")
