# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A misspelt variable is found, and the right one is offered (P57)."""

from __future__ import annotations

import pytest
from ansible_collections.ucm.capf.plugins.lookup.unknown_variables import unknown

ALL = ("lsc_rollout_", "preflight_", "capf_")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("lsc_rollout_window_strat", "did you mean lsc_rollout_window_start?"),
        ("lsc_rollout_failure_limits", "did you mean lsc_rollout_failure_limit?"),
        ("capf_server_lock_second", "did you mean capf_server_lock_seconds?"),
        ("preflight_csv", "did you mean preflight_csv_file?"),
        ("capf_zzzzzzzzzzzzzzzzzzz", "remove it, or correct its name"),
    ],
)
def test_p57_a_variable_that_nothing_knows_is_refused_with_the_nearest_name(name: str, nearest: str) -> None:
    known = ["lsc_rollout_window_start", "lsc_rollout_begun", "capf_device_name", "capf_password", "other_variable"]
    assert unknown([*known, name], ALL) == [f"no role or playbook of ucm.capf knows the variable {name}; {nearest}"]
