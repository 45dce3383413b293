# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Made by scripts/generate from server/src/capf/lists/cells.py: change that.

"""The cells of CSV files that people open in a spreadsheet: how text is written, and what a cell means (R30)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

BYTE_ORDER_MARK = "\ufeff"
"""The beginning of a file that a spreadsheet is meant to open; Excel takes a file without it for Windows-1252."""
SHIELD = "\u200b"
"""A zero width space before and after a text: it is not visible, and a spreadsheet shows the text as it is."""
_EDGES = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\u200b\u200c\u200d\u2060\ufeff\x1a"
"""Characters that people and programs leave around a text unintentionally: blanks of every kind, invisible ones, and
the old mark for the end of a file."""
_RISKY = frozenset("=+-@\uff1d\uff0b\uff0d\uff20" + _EDGES)
_MONTHS = (
    "jan|feb|fev|fév|mar|mär|maa|mrt|apr|abr|avr|may|mai|mag|maj|mei|jun|jui|giu|jul|lug|aug|ago|aoû|sep|set|okt|oct|"
    "out|ott|nov|dez|dec|dic|déc"
)
_WORD = rf"(?<![^\W\d_])(?:e|(?<=\d )[ap]|[ap]m|(?:{_MONTHS})[^\W\d_]{{0,7}})(?![^\W\d_])|[年月日時时分秒년월일]"
_NUMERIC = re.compile(rf"(?![1-9]\d{{0,10}}\Z|0\Z)(?:[\W\d_]|{_WORD})+", re.IGNORECASE)
"""A text that a spreadsheet may show as another number or as a date, if there is a digit in it."""
_TRUE = (
    *("true", "wahr", "vrai", "vero", "verdadero", "verdadeiro", "waar", "prawda", "pravda", "sant", "sann", "sand"),
    *("tosi", "igaz", "doğru", "\u0438\u0441\u0442\u0438\u043d\u0430"),
)
_FALSE = (
    *("false", "falsch", "faux", "falso", "onwaar", "fałsz", "nepravda", "falskt", "usann", "falsk"),
    *("epätosi", "hamis", "yanl\u0131\u015f", "\u043b\u043e\u0436\u044c"),
)
"""Truth values as spreadsheets in several languages write them."""
_QUOTED = re.compile(r'="([^"]*)"')
_FLAGS = {
    **dict.fromkeys((*_TRUE, "yes", "y", "ja", "j", "oui", "sì", "sí", "si", "1", "1.0", "1,0"), True),
    **dict.fromkeys((*_FALSE, "no", "n", "nein", "nee", "non", "0", "0.0", "0,0"), False),
}
FLAGS_ALLOWED = "true or false"
_WHOLE = re.compile(r"([0-9]+)(?:[.,]0+)?")
_MOST_DIGITS = 9
NUMBERS_ALLOWED = f"a number of at most {_MOST_DIGITS} digits"


def written(text: str) -> str:
    """Return a text as a cell that a spreadsheet shows unchanged and does not run; ``meant`` reads it back."""
    if text and (text[0] in _RISKY or text[-1] in _EDGES or _is_changed(text)):
        return f"{SHIELD}{text}{SHIELD}"
    return text


def _is_changed(text: str) -> bool:
    """Return whether a spreadsheet would show a text as another one."""
    if _NUMERIC.fullmatch(text):
        return any(map(str.isdigit, text))
    return text.casefold() in (*_TRUE, *_FALSE)


def meant(cell: str) -> str:
    """Return the text of a cell without what people and spreadsheets put around it."""
    if cell[0:1] == SHIELD == cell[-1:] and len(cell) > 1:
        return cell[1:-1]
    text = cell.strip(_EDGES)
    quoted = _QUOTED.fullmatch(text) if text[:2] == '="' else None
    return quoted[1] if quoted else text


@lru_cache(maxsize=4096)
def key(text: str) -> str:
    """Return the form in which titles and choices are compared, which ignores case and the kind and number of
    blanks."""
    return " ".join(text.split()).casefold()


def flag(text: str) -> bool | None:
    """Return what a truth value of a spreadsheet means in one of several languages, None if that is not clear."""
    return _FLAGS.get(key(text))


@lru_cache(maxsize=4096)
def whole(text: str) -> int | None:
    """Return a whole number, which a spreadsheet may have written as ``2048.0``; None for other text."""
    found = _WHOLE.fullmatch(text) if text.isascii() else None
    return int(found[1]) if found and len(found[1]) <= _MOST_DIGITS else None


def choice(text: str, choices: Iterable[str]) -> str:
    """Return the choice that is written in another case or with other blanks, or the text if there is none."""
    return next((found for found in choices if key(found) == key(text)), text)


def shown(text: str, longest: int = 100) -> str:
    """Return a text for an error message, cut if it is long."""
    return repr(text if len(text) <= longest else f"{text[:longest]}...")
