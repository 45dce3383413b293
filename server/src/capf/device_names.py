# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Device names as people and programs write them, and which kinds of device can have an LSC (docs/lists.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from capf.model import DEVICE_NAME, DEVICE_NAME_ALLOWED, Problem, not_allowed

_SEPARATORS = re.compile(r"[\s:.-]")
_BY_MAC = re.compile(r"(SEP|ATA)?([0-9A-F]{12})")
_SOFTPHONE = re.compile(r"(CSF|TCT|BOT|TAB)([A-Za-z0-9._-]{1,50})", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)?E[+-]?[0-9]+", re.IGNORECASE)
_GATEWAY = re.compile(r"(?:AN|VGC?|SKIGW|AALN)[0-9A-F/@]{10,}", re.IGNORECASE)
_SHOWN = 5


class Rewritten(str):
    """A device name that was written in another way: ``written``."""

    __slots__ = ("written",)
    written: str


def meant(text: str) -> str | None:
    """Return the device name that a text can only mean, None if there is none.

    A MAC address is that of a phone (SEP) unless it begins with ATA. The name of a softphone keeps its case.
    """
    if DEVICE_NAME.fullmatch(text):
        return text
    by_mac = _BY_MAC.fullmatch(_SEPARATORS.sub("", text).upper()) if text.isascii() else None
    if by_mac is not None:
        return f"{by_mac[1] or 'SEP'}{by_mac[2]}"
    softphone = _SOFTPHONE.fullmatch(text)
    return f"{softphone[1].upper()}{softphone[2]}" if softphone else None


def read(text: str) -> str:
    """Return the device name that a text means, or the text if there is none, which the registry refuses."""
    name = meant(text)
    if name is None or name == text:
        return text
    rewritten = Rewritten(name)
    rewritten.written = text
    return rewritten


def notes(names: Iterable[str]) -> list[str]:
    """Return a note about the device names that were written in another way, if there are any."""
    found = [name for name in names if isinstance(name, Rewritten)]
    if not found:
        return []
    shown = ", ".join(f"{name.written!r} as {name}" for name in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return [f"device names were read as they are meant: {shown}{more}"]


def problem(field: str, text: str) -> Problem:
    """Return the problem of a text that is not a device name."""
    if _NUMBER.fullmatch(text):
        why = "a spreadsheet has written a MAC address as a number: format the column as text and enter it again"
    elif _GATEWAY.fullmatch(text):
        why = "the ports of analog gateways cannot have an LSC; leave them out"
    elif "@" in text:
        why = "a device name has no '@'; give the name that the device has in Unified CM"
    else:
        return not_allowed(field, text, f"{DEVICE_NAME_ALLOWED}; other devices cannot have an LSC")
    return Problem(field, text, f"{text!r} is refused: {why}")
