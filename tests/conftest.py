# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Says what a test needs, so that `make check` can leave out what needs more than Python or a minute."""

from __future__ import annotations

import pytest

NEEDS = {"cluster": "postgresql", "pair": "postgresql", "tftpd": "tools"}
"""The markers of tests by the fixtures that they ask for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PostgreSQL or other programs by its fixtures."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for fixture, marker in NEEDS.items():
            if fixture in fixtures:
                item.add_marker(marker)
        if "postgresql" in getattr(getattr(item, "callspec", None), "params", {}).values():
            item.add_marker("postgresql")
