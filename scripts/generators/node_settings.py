# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of the server's configuration file: the role's template, variables and documentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capf.node.node_settings import NodeKind, NodeSetting, described

from . import texts

TABLE = "the server's node/node_settings.py"
ROLE = "roles/capf_server"
DEFAULTS, SPECS = f"{ROLE}/defaults/main.yml", f"{ROLE}/meta/argument_specs.yml"
TEMPLATE = f"{ROLE}/templates/capf.toml.j2"
PREFIX = "capf_server_"
NAMES = {"capf_servers": "phone_capf_servers"}
"""Settings whose variable has another name."""
DEPLOYED = {
    "state_directory": "/var/lib/capf",
    "node_name": "{{ ansible_host | default(inventory_hostname) }}",
    "database": "",
    "own_directory": "{{ capf_server_state_directory }}/own",
    "tftp_directory": "/srv/tftp",
}
"""What the role deploys where that is not the server's own default."""
WHEN = {"database": "capf_server_database", "tftp_directory": "capf_server_tftp | bool"}
"""Settings that are in the file only under a condition."""
TYPES: Mapping[NodeKind, dict[str, str]] = {
    NodeKind.TEXT: {"type": "str"},
    NodeKind.PATH: {"type": "path"},
    NodeKind.NUMBER: {"type": "int"},
    NodeKind.FLAG: {"type": "bool"},
}
LIST = {"type": "list", "elements": "str"}


def made() -> dict[str, str]:
    """Return the files, by their paths."""
    known = described()
    defaults = {_variable(name): _default(name, setting) for name, setting in known.items()}
    specs = {_variable(name): _spec(setting, defaults[_variable(name)]) for name, setting in known.items()}
    return {
        DEFAULTS: texts.with_block(DEFAULTS, TABLE, texts.as_yaml(defaults, width=150)),
        SPECS: texts.with_block(SPECS, TABLE, texts.as_yaml(specs)),
        TEMPLATE: _template(known),
    }


def _variable(name: str) -> str:
    return PREFIX + NAMES.get(name, name)


def _default(name: str, setting: NodeSetting) -> Any:
    """Return the default of a variable; a template where it depends on others."""
    if setting.half_of:
        return f"{{{{ {_variable(setting.half_of)} | int // 2 }}}}"
    default = DEPLOYED.get(name, setting.default)
    return list(default) if isinstance(default, tuple) else default


def _spec(setting: NodeSetting, default: Any) -> dict[str, Any]:
    shown = {} if "{{" in str(default) else {"default": default}
    return {"description": texts.described(setting.help), **TYPES.get(setting.kind, LIST), **shown}


def _template(known: Mapping[str, NodeSetting]) -> str:
    lines = [f"{{# Made by scripts/generate from {TABLE}: change that. #}}", "# {{ ansible_managed }}"]
    for table in dict.fromkeys(setting.table for setting in known.values()):
        lines += ["", f"[{table}]"] if len(lines) > len(("made by", "managed")) else [f"[{table}]"]
        for name, setting in known.items():
            if setting.table == table:
                lines += _lines(name, setting)
    return "\n".join(lines) + "\n"


def _lines(name: str, setting: NodeSetting) -> list[str]:
    filters = {NodeKind.NUMBER: "", NodeKind.FLAG: " | bool | to_json"}.get(setting.kind, " | to_json")
    line = f"{setting.key(name)} = {{{{ {_variable(name)}{filters} }}}}"
    return [f"{{% if {WHEN[name]} %}}", line, "{% endif %}"] if name in WHEN else [line]
