# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of a rollout as the collection has them: options of the module and variables of the role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capf.registry.rollout.settings import RolloutSetting, SettingKind, described

from . import texts

TABLE = "the server's registry/rollout/settings.py"
OPTIONS = "plugins/module_utils/_rollout_settings.py"
DOCUMENTATION = "plugins/doc_fragments/rollout_settings.py"
ROLE = "roles/lsc_rollout"
PREFIX = "lsc_rollout_"
TYPES: Mapping[SettingKind, str] = {SettingKind.NUMBER: "int", SettingKind.FLAG: "bool"}


def made() -> dict[str, str]:
    """Return the files, by their paths."""
    known = described()
    specs = {name: _spec(setting) for name, setting in known.items()}
    documented = {name: {"description": texts.described(known[name].help)} | spec for name, spec in specs.items()}
    defaults = {PREFIX + name: setting.default for name, setting in known.items()}
    options = {PREFIX + name: option for name, option in documented.items()}
    passed = {"lsc_rollout_settings": {name: f"{{{{ {PREFIX}{name} }}}}" for name in known}}
    return {
        OPTIONS: _module(specs),
        DOCUMENTATION: texts.fragments(TABLE, {"DOCUMENTATION": documented}),
        f"{ROLE}/defaults/main.yml": texts.with_block(f"{ROLE}/defaults/main.yml", TABLE, texts.as_yaml(defaults)),
        f"{ROLE}/vars/main.yml": texts.with_block(f"{ROLE}/vars/main.yml", TABLE, texts.as_yaml(passed)),
        f"{ROLE}/meta/argument_specs.yml": texts.with_block(
            f"{ROLE}/meta/argument_specs.yml", TABLE, texts.as_yaml(options)
        ),
    }


def _module(specs: Mapping[str, Any]) -> str:
    return texts.module(
        OPTIONS,
        TABLE,
        "The options of a module that begins a rollout.",
        {"ROLLOUT_SETTINGS: dict[str, dict[str, t.Any]]": specs},
    )


def _spec(setting: RolloutSetting) -> dict[str, Any]:
    """Return a setting as an option of a module."""
    choices = {"choices": list(setting.choices)} if setting.kind is SettingKind.CHOICE else {}
    return {"type": TYPES.get(setting.kind, "str"), **choices, "default": setting.default}
