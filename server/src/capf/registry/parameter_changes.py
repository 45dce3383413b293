# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing service and enterprise parameters (R25)."""

from __future__ import annotations

from collections.abc import Mapping

from capf.registry.parameters import BY_KIND, Kind, Value, check, check_listening, key, stored
from capf.registry.transaction import Transaction
from capf.store import named_values


def change(tx: Transaction, kind: Kind, wanted: Mapping[str, object]) -> tuple[dict[str, Value], dict[str, Value]]:
    """Set parameters; returns (before, after) of those that change.

    InvalidRequestError names every one that is not allowed, or with which CAPF could not listen on this node.
    """
    values, now = check(kind, wanted), stored(tx.connection)
    check_listening(now, values, tx.context.why_not_listen)
    texts = named_values.every(tx.connection)
    before: dict[str, Value] = {}
    for parameter in BY_KIND[kind]:
        if parameter.name not in values:
            continue
        text = texts.get(key(parameter))
        held = now.values[parameter.name] if text is None or parameter.parse(text) is not None else text
        if held != values[parameter.name]:
            before[parameter.name] = held
            named_values.put(tx.connection, key(parameter), str(values[parameter.name]))
    after = {name: values[name] for name in before}
    if after:
        tx.audit(f"change {kind} parameters", **after)
    return before, after
