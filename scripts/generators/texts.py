"""Python and YAML as the repository writes them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

RUFF = Path(sys.executable).with_name("ruff")
WIDTH = 110
HEAD = """# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Made by scripts/generate from {table}: change that.
"""


class _Indented(yaml.SafeDumper):
    """YAML with lists inside of what they belong to."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent every list."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write a list again where it comes again."""
        return True


def as_yaml(value: Any) -> str:
    """Return a value as YAML, its keys in the order given."""
    return yaml.dump(value, None, _Indented, sort_keys=False, width=WIDTH, allow_unicode=True)


def as_python(text: str, name: str) -> str:
    """Return Python as the formatter writes it; ``name``: the file's path, which says how."""
    argv: list[str | Path] = [RUFF, "format", "--stdin-filename", name, "-"]
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout


def fragments(table: str, parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a file of documentation fragments: the options of each by its name."""
    texts = "\n".join(f'    {name} = r"""\n{as_yaml({"options": options})}"""\n' for name, options in parts.items())
    return f"{HEAD.format(table=table)}\nfrom __future__ import annotations\n\n\nclass ModuleDocFragment:\n{texts}"
