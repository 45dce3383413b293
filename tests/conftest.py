# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Marks tests by their requirements, so that `make check` can omit slow ones and those that need more than Python."""

from __future__ import annotations

import pytest

NEEDS = {"cluster": "postgresql", "pair": "postgresql", "tftpd": "tools"}
"""The markers of tests by the fixtures that they use."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that need PostgreSQL or other programs, by their fixtures."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for fixture, marker in NEEDS.items():
            if fixture in fixtures:
                item.add_marker(marker)
        if "postgresql" in getattr(getattr(item, "callspec", None), "params", {}).values():
            item.add_marker("postgresql")
