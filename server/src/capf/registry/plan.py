# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change outside the database: decided and recorded first, carried out after the commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request changes; ``carry_out`` is None if it changes nothing."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    carry_out: Callable[[], None] | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """True if there is something to carry out."""
        return self.carry_out is not None
