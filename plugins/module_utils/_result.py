# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Module results: they stay small, their diffs are short and sorted, and errors become failures in one place."""

from __future__ import annotations

import typing as t
from collections.abc import Callable

from ansible.module_utils.basic import AnsibleModule

from ._client import CapfError, Client
from ._given import refuse_empty

SHOWN = 100


def capped(items: list[t.Any]) -> list[t.Any]:
    """Return the first items of a long list; the counts say how many there are in total."""
    return items[:SHOWN]


def diff_of(results: list[dict[str, t.Any]], key: str = "device_name") -> dict[str, str]:
    """Return the first changed phones (or other items, by C(key)) before and after, sorted, one line each."""
    ordered = sorted(results, key=lambda item: item[key])
    more = f"... and {len(ordered) - SHOWN} more phones\n" if len(ordered) > SHOWN else ""
    return {
        side: "".join(_line(item[key], item[side]) for item in ordered[:SHOWN]) + more for side in ("before", "after")
    }


def _line(name: str, values: dict[str, t.Any] | None) -> str:
    if values is None:
        return ""
    shown = ", ".join(f"{key}={values[key]}" for key in sorted(values) if key != "device_name")
    return f"{name}: {shown}\n"


def warned(module: AnsibleModule, answer: dict[str, t.Any]) -> dict[str, t.Any]:
    """Show what the server warns of, and return its answer without that."""
    for warning in answer.pop("warnings"):
        module.warn(warning)
    return answer


def values_diff(before: dict[str, t.Any], after: dict[str, t.Any]) -> dict[str, str]:
    """Return named values before and after, one line each."""
    return {
        side: "".join(f"{name}: {values[name]}\n" for name in sorted(values))
        for side, values in (("before", before), ("after", after))
    }


def run(module: AnsibleModule, work: Callable[[AnsibleModule, Client], dict[str, t.Any]]) -> None:
    """Do the module's work and exit with its result, or fail with the server's error."""
    try:
        refuse_empty(module.argument_spec, module.params)
        result = work(module, Client(module.params))
    except CapfError as error:
        module.fail_json(
            msg=str(error),
            problems=capped(error.problems),
            unavailable=error.unavailable,
            code=error.code,
            details=error.details,
        )
    else:
        module.exit_json(**result)
