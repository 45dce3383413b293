# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's copy of the reader of lists: modules run on hosts that do not have the server."""

from __future__ import annotations

from . import texts

SOURCE = "server/src/capf/lists"
FILES = ("cells", "tables")


def made() -> dict[str, str]:
    """Return the files, by their paths."""
    return {f"plugins/module_utils/_{name}.py": _copy(name) for name in FILES}


def _copy(name: str) -> str:
    """Return one file of the reader as a file of the collection."""
    source = f"{SOURCE}/{name}.py"
    _licence, _blank, code = (texts.ROOT / source).read_text().partition("\n\n")
    code = code.replace("from capf.lists import cells", "from . import _cells as cells")
    return f"{texts.HEAD.format(table=source)}\n{code}"
