# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds the path variables of the collection in its playbooks and roles, so that none is forgotten (P35)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from support.plays import ROOT

FROM_HERE, CA_PATH = "ucm.capf.from_here", "ucm.capf.ca_path"
"""The filters that make a path absolute."""
ROLES = sorted(path.parents[1] for path in ROOT.glob("roles/*/meta/argument_specs.yml"))
FILES = sorted([*ROOT.glob("playbooks/*.yml"), *ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/vars/*.yml")])
"""The files that use variables: playbooks, and the tasks and variables of roles."""
_USED = re.compile(
    r"([a-z_]+)(?:\.[a-z_]+)?(?: \| default\([^()]*(?:\([^()]*\))?[^()]*\))? \| ucm\.capf\.(?:from_here|ca_path)"
)
BUILTIN_PATHS = {
    "ansible.builtin.copy": ("src", "dest"),
    "ansible.builtin.fetch": ("src", "dest"),
    "ansible.builtin.file": ("path", "src"),
    "ansible.builtin.find": ("paths",),
    "ansible.builtin.slurp": ("src",),
    "ansible.builtin.stat": ("path",),
    "ansible.builtin.tempfile": ("path",),
    "ansible.builtin.template": ("dest",),
    "ansible.builtin.unarchive": ("src", "dest"),
}


def on_the_node() -> set[str]:
    """Return the variables with paths on the node, which must be absolute."""
    tasks = [task for role in ROLES for task in yaml.safe_load((role / "tasks/main.yml").read_text())]
    checked = [task["vars"].get(f"{role.name}_paths", {}) for role in ROLES for task in tasks if "vars" in task]
    return {name for paths in checked for name in paths}


def declared() -> set[str]:
    """Return the variables that the roles declare as paths."""
    return {
        name
        for role in ROLES
        for entry in yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"].values()
        for name, option in entry["options"].items()
        if _is_path(option) or any(map(_is_path, option.get("options", {}).values()))
    }


def _is_path(option: dict[str, Any]) -> bool:
    return "path" in (option["type"], option.get("elements"))


def used() -> set[str]:
    """Return the external variables that playbooks and roles make absolute."""
    found = {name for path in FILES for name in _USED.findall(path.read_text())}
    return {name for name in found if not re.search(rf"^\s+register: {name}$", _all_text(), re.MULTILINE)}


def given() -> set[str]:
    """Return every variable with a path on the control node."""
    return (declared() - on_the_node()) | used()


def _all_text() -> str:
    return "\n".join(path.read_text() for path in FILES)


def module_paths() -> dict[str, set[str]]:
    """Return the path options of each module, including those of its fragments."""
    shared = {
        path.stem: _paths_in(yaml.safe_load(text))
        for path in (ROOT / "plugins/doc_fragments").glob("*.py")
        for text in re.findall(r'DOCUMENTATION = r"""(.*?)"""', path.read_text(), re.DOTALL)
    }
    found = {}
    for path in (ROOT / "plugins/modules").glob("*.py"):
        (text,) = re.findall(r'DOCUMENTATION = r"""(.*?)"""', path.read_text(), re.DOTALL)
        document = yaml.safe_load(text)
        own = _paths_in(document)
        for fragment in document.get("extends_documentation_fragment", []):
            own |= shared.get(fragment.split(".")[2], set())
        found[f"ucm.capf.{path.stem}"] = own
    return found


def _paths_in(document: dict[str, Any]) -> set[str]:
    found = set()
    for name, option in (document.get("options") or {}).items():
        suboptions = _paths_in({"options": option.get("suboptions")})
        if suboptions or "path" in (option.get("type"), option.get("elements")):
            found.add(name)
    return found


def paths_of_tasks() -> Iterator[tuple[Path, str, str, str]]:
    """Yield (file, module, option, value) of each path that a playbook or role passes to a module or role."""
    given_on = declared()
    options = {**module_paths(), **{name: set(paths) for name, paths in BUILTIN_PATHS.items()}}
    for path in FILES:
        for mapping in _mappings(yaml.safe_load(path.read_text())):
            for module, arguments in mapping.items():
                name = "ucm.capf.rollout" if module == "group/ucm.capf.capf" else module
                wanted = options.get(name, set()) | ({"ca_path"} if module == "group/ucm.capf.capf" else set())
                if module in given_on and not isinstance(arguments, dict):
                    yield path, "vars", module, str(arguments)
                for option, value in arguments.items() if isinstance(arguments, dict) else ():
                    if option in wanted:
                        yield path, module, option, str(value)


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _mappings(child)
