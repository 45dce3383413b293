# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module refuses a list that is given and empty, and a number below its minimum (P57)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError
from ansible_collections.ucm.capf.plugins.module_utils._given import refuse_empty

PLUGINS = Path(__file__).parents[4] / "plugins"
PACKAGE = "ansible_collections.ucm.capf.plugins.modules"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))


class StoppedError(Exception):
    """The module has said which options it has."""


def options_of(name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the options that a module gives to Ansible."""
    module, found = importlib.import_module(f"{PACKAGE}.{name}"), dict[str, Any]()

    def keep(argument_spec: dict[str, Any], **_other: Any) -> None:
        found.update(argument_spec)
        raise StoppedError

    for place in (module, importlib.import_module("ansible_collections.ucm.capf.plugins.module_utils._parameters")):
        monkeypatch.setattr(place, "AnsibleModule", keep, raising=False)
    with pytest.raises(StoppedError):
        module.main()
    return found


def wrong(options: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name of an option and a value that no module takes."""
    for name, option in options.items():
        if option["type"] in ("list", "dict"):
            yield name, {name: [] if option["type"] == "list" else {}}
        elif option["type"] == "int":
            yield name, {name: -1}
        for inner, given in wrong(option.get("options", {})):
            yield f"{name}[0].{inner}", {name: [given]}


@pytest.mark.parametrize("name", MODULES)
def test_p57_no_module_takes_an_empty_list_or_a_negative_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = options_of(name, monkeypatch)
    for field, given in wrong(options):
        with pytest.raises(CapfError) as refused:
            refuse_empty(options, given)
        assert [problem["field"] for problem in refused.value.problems] == [field]
    empty = {key for key, option in options.items() if option.get("default") in ([], {}) and "default" in option}
    assert not empty, "a default that the module itself refuses"


def test_p57_a_progress_without_pause_is_refused() -> None:
    with pytest.raises(CapfError, match="progress_interval: '0' is refused; allowed: at least 1"):
        refuse_empty({"progress_interval": {"type": "int"}}, {"progress_interval": 0})
    refuse_empty({"wait_timeout": {"type": "int"}, "phones": {"type": "list"}}, {"wait_timeout": 0, "phones": None})
