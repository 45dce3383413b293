# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.ucm.capf.plugins.module_utils._client import describe
from ansible_collections.ucm.capf.plugins.module_utils._result import SHOWN, capped, diff_of, values_diff


def test_a_diff_is_sorted_one_line_a_phone() -> None:
    results: list[dict[str, Any]] = [
        {"device_name": "B", "before": {"b": 1, "a": 2}, "after": {"b": 2, "a": 2}},
        {"device_name": "A", "before": None, "after": {"device_name": "A", "x": 1}},
    ]
    assert diff_of(results) == {"before": "B: a=2, b=1\n", "after": "A: x=1\nB: a=2, b=2\n"}


def test_a_long_diff_is_cut_and_says_so() -> None:
    results = [{"device_name": f"P{i:05}", "before": {"a": 1}, "after": {"a": 2}} for i in range(SHOWN + 7)]
    diff = diff_of(results)
    assert diff["after"].count("\n") == SHOWN + 1
    assert diff["after"].endswith("... and 7 more phones\n")
    assert len(capped(results)) == SHOWN


def test_values_are_shown_by_name() -> None:
    assert values_diff({"b": 1, "a": True}, {}) == {"before": "a: True\nb: 1\n", "after": ""}


def test_a_refusal_names_field_value_and_what_is_allowed() -> None:
    problems = [{"field": f"f{i}", "value": "v", "message": "'v' is refused; allowed: w"} for i in range(7)]
    text = describe("Wrong", problems)
    assert text.startswith("Wrong. f0: 'v' is refused; allowed: w. f1: ")
    assert text.endswith(". and 2 more")
    assert describe("Wrong", []) == "Wrong"
