"""Python and YAML as the repository writes them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

RUFF = Path(sys.executable).with_name("ruff")
ROOT = Path(__file__).resolve().parents[2]
WIDTH = 106
BEGIN = "# Begin: made by scripts/generate from {table}"
END = "# End: made by scripts/generate from {table}"
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


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Put a short text into double quotes if it needs quotes, as in files written by hand."""
    quoted = len(text) < WIDTH and yaml.dump(text, None, yaml.SafeDumper, width=2 * WIDTH).startswith("'")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_Indented.add_representer(str, _text)


def as_yaml(value: Any, width: int = WIDTH) -> str:
    """Return a value as YAML, its keys in the order given, in lines of this width."""
    return yaml.dump(value, None, _Indented, sort_keys=False, width=width, allow_unicode=True)


def described(sentences: Sequence[str]) -> str | list[str]:
    """Return a description as documentation has it: a text, or a list where it has several paragraphs."""
    return sentences[0] if len(sentences) == 1 else list(sentences)


def module(name: str, table: str, docstring: str, values: Mapping[str, Any]) -> str:
    """Return a Python file of constants as the formatter writes it; ``name``: its path, which says how."""
    body = "".join(f"{constant} = {value!r}\n" for constant, value in values.items())
    imports = "from __future__ import annotations\n" + ("\nimport typing as t\n" if "t.Any" in body else "")
    text = f'{HEAD.format(table=table)}\n"""{docstring}"""\n\n{imports}\n{body}'
    argv: list[str | Path] = [RUFF, "format", "--stdin-filename", name, "-"]
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=True).stdout


def with_block(name: str, table: str, made: str) -> str:
    """Return a file whose part between the lines that name ``table`` is ``made``, indented as they are."""
    text, begin, end = (ROOT / name).read_text(), BEGIN.format(table=table), END.format(table=table)
    head, found, rest = text.partition(begin)
    _old, closed, tail = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{name}: the lines {begin!r} and {end!r} are missing")
    indent = head.rpartition("\n")[2]
    return f"{head}{begin}\n{textwrap.indent(made, indent)}{indent}{end}{tail}"


def fragments(table: str, parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a file of documentation fragments: the options of each by its name."""
    texts = "\n".join(f'    {name} = r"""\n{as_yaml({"options": options})}"""\n' for name, options in parts.items())
    return f"{HEAD.format(table=table)}\nfrom __future__ import annotations\n\n\nclass ModuleDocFragment:\n{texts}"
