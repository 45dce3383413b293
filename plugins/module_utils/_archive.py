# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options shared by the modules that make or read a backup: its passphrase, or the choice of a plain archive."""

from __future__ import annotations

import typing as t

from ._client import CapfError

PLAIN = (
    "{0} is not encrypted: anyone who can read it has the server's keys, and anyone who can write to it can forge it. "
    "Set a passphrase instead of plain."
)


def archive_options() -> dict[str, t.Any]:
    """Return the options of the fragment C(archive)."""
    return {"passphrase": {"type": "str", "no_log": True}, "plain": {"type": "bool", "default": False}}


def form(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the passphrase or plain as the server expects them; CapfError unless exactly one of them is set."""
    passphrase, plain = params["passphrase"], params["plain"]
    if (passphrase is None) != plain:
        raise CapfError("passphrase: give either a passphrase or plain: true")
    return {"plain": True} if plain else {"passphrase": passphrase}
