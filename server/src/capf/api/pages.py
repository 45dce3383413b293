# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Self-contained pages: templates with bar charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=PackageLoader("capf", "api"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: Any) -> str:
    """Return a page."""
    return _TEMPLATES.get_template(template).render(**values)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a chart; its length in percent of the longest bar, its share in percent of the sum."""

    label: str
    count: int
    length: float
    share: float


def bars(counts: Counter[str]) -> list[Bar]:
    """Return a bar for each label, longest first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return scaled(ordered)


def scaled(items: Sequence[tuple[str, int]]) -> list[Bar]:
    """Return a bar for each label with its number, in this order."""
    most = max((count for _label, count in items), default=0) or 1
    total = sum(count for _label, count in items) or 1
    return [Bar(label, count, round(100 * count / most, 2), round(100 * count / total, 1)) for label, count in items]
