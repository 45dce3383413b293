# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""meta/runtime.yml: the modules that take their connection from the action group."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = "meta/runtime.yml"
FRAGMENT = "ucm.capf.attributes.action_group"


def made() -> dict[str, str]:
    """Return the file, by its path; all but the list of modules is written by hand."""
    head = (ROOT / FILE).read_text().partition("  capf:\n")[0]
    modules = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if FRAGMENT in path.read_text())
    return {FILE: f"{head}  capf:\n" + "".join(f"    - {name}\n" for name in modules)}
