# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every file states its licence in its header or in REUSE.toml, and it is the licence of the project."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "licences"))
LICENCE = yaml.safe_load((ROOT / "galaxy.yml").read_text())["license"]
SAID = re.compile(rf"^\W*{SCRIPT['IDENTIFIER']}(\S+)", re.MULTILINE)


def test_every_file_has_a_licence() -> None:
    assert SCRIPT["without_licence"]() == [], "run scripts/licences"


def test_every_licence_is_that_of_the_project() -> None:
    (name,) = LICENCE
    said = {word for file in SCRIPT["tracked"]() for word in SAID.findall((ROOT / file).read_text(errors="replace"))}
    annotations = tomllib.loads((ROOT / "REUSE.toml").read_text())["annotations"]
    assert said | {annotation["SPDX-License-Identifier"] for annotation in annotations} == {name}
    projects = [path for path in (ROOT / file for file in SCRIPT["tracked"]()) if path.name == "pyproject.toml"]
    assert {tomllib.loads(path.read_text())["project"]["license"] for path in projects} == {name}


def test_the_text_of_the_licence_is_there() -> None:
    (path,) = (ROOT / "LICENSES").iterdir()
    assert [path.stem] == LICENCE
    assert path.read_text() == (ROOT / "LICENSE").read_text()


def test_a_header_goes_below_the_line_that_names_the_interpreter_or_begins_the_document(tmp_path: Path) -> None:
    header = SCRIPT["HEADER"]
    texts = {
        "#!/usr/bin/env python\n\nimport os\n": f"#!/usr/bin/env python\n{header}\nimport os\n",
        "---\n- name: Play\n": f"---\n{header}\n- name: Play\n",
        '"""A module."""\n': f'{header}\n"""A module."""\n',
    }
    for before, after in texts.items():
        (tmp_path / "file").write_text(before)
        SCRIPT["give_header"](tmp_path / "file")
        assert (tmp_path / "file").read_text() == after
