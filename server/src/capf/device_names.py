# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Device names as people and programs write them, and which kinds of device can have an LSC (docs/lists.md)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from capf.model import DEVICE_NAME, DEVICE_NAME_ALLOWED, Problem, not_allowed

_SEPARATORS = re.compile(r"[\s:._/'\"\u00b4\u200b-\u200d\u2010-\u201f\u2060\u2212\ufeff-]")
"""What people write into a MAC address or around it: blanks, colons, dots, dashes and quotes of all kinds."""
_BY_MAC = re.compile(r"(SEP|ATA)?([0-9A-F]{12})")
_MAC_LIKE = re.compile(r"(SEP|ATA)?([0-9A-Z]{6,16})")
_MAC_INSIDE = re.compile(r"(?<![0-9A-Z])(?:0X)?(SEP|ATA)?([0-9A-F]{12})(?![0-9A-Z])")
_HEXADECIMAL = re.compile(r"[0-9A-F]{6,16}")
_LOOKS_LIKE = str.maketrans("OIL", "011")
_MAC_DIGITS = 12
_SOFTPHONE = re.compile(r"(CSF|TCT|BOT|TAB)([A-Za-z0-9._-]{1,50})", re.IGNORECASE | re.ASCII)
_SOFTPHONE_LIKE = re.compile(r"(?:CSF|TCT|BOT|TAB)\W?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)?E[+-]?[0-9]+", re.IGNORECASE)
_GATEWAY = re.compile(r"(?:AN|VG[A-Z]?|SKIGW)[0-9A-F]{10,}|(?:AALN|BRI|DS\d|[A-Z]?\d*S\d+)/.*@.*", re.IGNORECASE)
_SHOWN = 5


class Rewritten(str):
    """A device name that was written in another way: ``written``."""

    __slots__ = ("written",)
    written: str


def meant(text: str) -> str | None:
    """Return the one device name that a text can mean, None if it can mean none or several.

    A MAC address is that of a phone (SEP) unless it begins with ATA. The name of a softphone keeps its case.
    """
    if DEVICE_NAME.fullmatch(text):
        return text
    plain = _SEPARATORS.sub("", text)
    by_mac = _BY_MAC.fullmatch(plain.upper()) if plain.isascii() else None
    if by_mac is not None:
        return f"{by_mac[1] or 'SEP'}{by_mac[2]}"
    softphone = _SOFTPHONE.fullmatch(text)
    return f"{softphone[1].upper()}{softphone[2]}" if softphone else None


def read(text: str) -> str:
    """Return the device name that a text means, or else the text itself, which the registry refuses."""
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
    """Return the problem of a text that is not a device name, with the right spelling or the reason."""
    if _NUMBER.fullmatch(text):
        why = "a spreadsheet has written a MAC address as a number: format the column as text and enter it again"
    elif _GATEWAY.fullmatch(text):
        why = "the ports of analog gateways cannot have an LSC; leave them out"
    elif "@" in text:
        why = "a device name has no '@'; give the name that the device has in Unified CM"
    else:
        why = _wrong_mac(text) or _wrong_softphone(text)
    if not why:
        return not_allowed(field, text, f"{DEVICE_NAME_ALLOWED}; other devices cannot have an LSC")
    return Problem(field, text, f"{text!r} is refused: {why}")


def _wrong_mac(text: str) -> str:
    """Return what is wrong with a text that is nearly a MAC address, and the right spelling if that is likely."""
    inside = _MAC_INSIDE.findall(text.upper())
    if len(inside) == 1:
        kind, digits = inside[0]
        return f"it has more than a MAC address; did you mean {kind or 'SEP'}{digits}?"
    found = _MAC_LIKE.fullmatch(_SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).upper())
    if found is None or not (found[1] or any(map(str.isdigit, found[2]))):
        return ""
    kind, digits = found[1] or "SEP", found[2].translate(_LOOKS_LIKE)
    if not _HEXADECIMAL.fullmatch(digits):
        return f"{kind} is followed by {_MAC_DIGITS} hexadecimal digits, 0 to 9 and A to F" if found[1] else ""
    if len(digits) == _MAC_DIGITS:
        return f"it has a character that is not a hexadecimal digit; did you mean {kind}{digits}?"
    said = f"a MAC address has {_MAC_DIGITS} hexadecimal digits, and this has {len(digits)}"
    if found[1] or not digits.isdecimal() or len(digits) > _MAC_DIGITS:
        return said
    return f"{said}; if a spreadsheet has dropped its zeros, give {kind}{digits.zfill(_MAC_DIGITS)}"


def _wrong_softphone(text: str) -> str:
    """Return what is wrong with the name of a softphone, and the right spelling if that is likely."""
    found = _SOFTPHONE_LIKE.match(text)
    if found is None:
        return ""
    said = "a softphone's name has 1 to 50 letters, digits, '.', '_' or '-' after CSF, TCT, BOT or TAB"
    name = meant("".join(text.split()))
    return f"{said}; did you mean {name}?" if name else said
