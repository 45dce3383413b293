# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for all tests.

They are marked by their requirements, so that `make check` can omit slow ones and those that need more than Python.
Hypothesis measures no times: tests run beside others, and those that measure a promised time do so themselves.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside others")

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
