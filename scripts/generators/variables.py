# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of all variables that roles and playbooks know, from argument specs, comments of playbooks and tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from capf.registry.phone_fields import FIELDS
from generators.texts import module

ROOT = Path(__file__).resolve().parents[2]
FILE = "plugins/plugin_utils/_variables.py"
_TABLE = "argument specs of roles, comments of playbooks, and tasks"
_IN_COMMENT = re.compile(r"^#   ([a-z_]+(?:, [a-z_]+)*)(?: |$)", re.MULTILINE)


def made() -> dict[str, str]:
    """Return the file, by its path."""
    options = {name for path in ROOT.glob("roles/*/meta/argument_specs.yml") for name in _options(_read(path))}
    listed = {
        name
        for path in ROOT.glob("playbooks/*.yml")
        for names in _IN_COMMENT.findall(path.read_text())
        for name in names.split(", ")
    }
    public = options | listed
    files = [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/vars/*.yml"), *ROOT.glob("playbooks/*.yml")]
    internal = {name for path in files for name in _set(_read(path), names="vars" in path.parts)}
    internal |= {f"capf_{field.name}" for field in FIELDS}
    docstring = "The variables that users set, and those that roles, playbooks and the inventory plugin set themselves."
    values = {"PUBLIC": tuple(sorted(public)), "INTERNAL": tuple(sorted(internal - public))}
    return {FILE: module(FILE, _TABLE, docstring, values)}


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def _options(specs: Any) -> Iterator[str]:
    for spec in specs["argument_specs"].values():
        yield from spec["options"]


def _set(part: Any, *, names: bool = False) -> Iterator[str]:
    """Yield the names of the variables that tasks set; with ``names``, the keys of this part are some."""
    if isinstance(part, list):
        for item in part:
            yield from _set(item)
    elif isinstance(part, dict):
        yield from part if names else ()
        for key, value in part.items():
            if key in ("register", "loop_var", "index_var"):
                yield value
            yield from _set(value, names=key in ("vars", "ansible.builtin.set_fact"))
