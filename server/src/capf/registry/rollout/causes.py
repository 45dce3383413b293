# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why phones of a rollout are not done, and what to do: counted by cause, with the first phones of each (P58)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from capf.model import STATUS_NONE, counted
from capf.registry import parts
from capf.registry.parts import Part
from capf.registry.rollout import advice
from capf.store.rollout_rows import MemberRow

_SHOWN = 5
_NAMED = 3
_LONGEST_LINE, _LONGEST_STATUS, _LONGEST_PROBLEM = 300, 120, 80


class NotDone(NamedTuple):
    """What phones that are not done have in common."""

    part: Part
    status: str
    todo: str


class _Phones(NamedTuple):
    """The phones that a cause has, and what is known of it beyond their status."""

    names: list[str]
    problems: set[str]


class Causes:
    """The phones that are not done, by cause."""

    def __init__(self) -> None:
        self._phones: dict[NotDone, _Phones] = {}

    def add(self, row: MemberRow, part: Part) -> None:
        """Count a phone that is failed or unreached, or whose wave was judged while it was in flight."""
        if part in (Part.FAILED, Part.UNREACHED) or (part is Part.IN_FLIGHT and row.judged_at is not None):
            cause = NotDone(part, parts.status_of(row), advice.of(row))
            found = self._phones.setdefault(cause, _Phones([], set()))
            found.names.append(row.device_name)
            found.problems.add(row.problem or "")

    def lines(self) -> list[str]:
        """Return one line per cause, the most frequent first, and one about the rest."""
        ordered = sorted(self._phones.items(), key=lambda item: (-len(item[1].names), item[0]))
        shown = [_line(cause, found) for cause, found in ordered[:_SHOWN]]
        rest = sum(len(found.names) for _cause, found in ordered[_SHOWN:])
        return [*shown, f"and {counted(rest, 'phone')} for other reasons"] if rest else shown


def _line(cause: NotDone, found: _Phones) -> str:
    known = sorted(found.problems - {""})
    example = f"{'such as ' if len(known) > 1 else ''}{short(known[0], _LONGEST_PROBLEM)}" if known else ""
    todo = f". To do: {cause.todo}" if cause.todo and cause.todo != cause.status else ""
    status = short(cause.status, _LONGEST_STATUS)
    reason = f"{status} ({example})" if example and status != STATUS_NONE else example or status
    return short(f"{len(found.names):,} {cause.part}: {reason}: {first(found.names)}{todo}")


def first(names: Sequence[str]) -> str:
    """Return the first names of a list, and the number of the rest."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def short(text: str, longest: int = _LONGEST_LINE) -> str:
    """Return a text, cut if it is longer than that."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
