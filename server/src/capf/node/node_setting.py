# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The description of one setting of the server's configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class NodeKind(Enum):
    """The type of a setting's values."""

    TEXT = "text"
    PATH = "path"
    NUMBER = "number"
    FLAG = "flag"
    TEXTS = "texts"
    ADDRESSES = "addresses"
    NETWORKS = "networks"


@dataclass(frozen=True, slots=True)
class NodeSetting:
    """A setting's ``table`` in the file, ``kind``, ``default``, and ``help`` in paragraphs.

    ``default``: None if there is none; a text may refer to earlier settings in braces. ``half_of``: the name of a
    setting, half of whose value is the default. ``minimum`` and ``maximum`` limit a number or the length of a list.
    """

    table: str
    kind: NodeKind
    default: Any
    help: tuple[str, ...]
    half_of: str = ""
    minimum: int = 0
    maximum: int = 0

    def key(self, name: str) -> str:
        """Return the key in the table for the setting of this name."""
        return name.removeprefix(f"{self.table}_")
