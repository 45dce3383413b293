# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a request changed, or would change; every such answer has the same form.

A list of phones or nodes is changed in the database. A change to certificates and keys in the state directory is
decided and recorded first, and carried out after the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One phone or node that changes: the values that differ, by the name of the field.

    ``before`` is None for a new one, ``after`` for a removed one; ``reason`` says why, if a rule decided.
    """

    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    reason: str = ""

    def show(self, named: str) -> dict[str, Any]:
        """Return it as the API shows it; ``named`` is what the API calls the name."""
        reason = {"reason": self.reason} if self.reason else {}
        return {named: self.name, **reason, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that a list makes; ``asked`` is the length of the list."""

    asked: int
    results: list[Change]
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """True if anything differs."""
        return bool(self.results)

    @property
    def counts(self) -> dict[str, int]:
        """How many were created, updated, removed, and left as they are."""
        created = sum(change.before is None for change in self.results)
        removed = sum(change.after is None for change in self.results)
        updated, unchanged = len(self.results) - created - removed, self.asked - len(self.results)
        return {"created": created, "updated": updated, "removed": removed, "unchanged": unchanged}


@dataclass(frozen=True, slots=True)
class KeystoreChange:
    """What a request changes in the state directory; ``carry_out`` is None if it changes nothing."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    carry_out: Callable[[], None] | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """True if there is something to carry out."""
        return self.carry_out is not None
