# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A field of a phone is added in one place (R26, R29, R30)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from capf.registry.phone_fields import FIELDS, FieldKind, settings
from capf.store import schema
from support import spreadsheet

TESTS = Path(__file__).parents[1]


def test_a_field_is_added_by_its_column_and_one_row_of_the_table(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "support.further_field", str(tmp_path)]
    done = subprocess.run(argv, cwd=TESTS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["found"] == ["SEP00000000000B"]
    assert seen["sorted"] == ["B", "A"], "a new phone has the default"
    assert seen["changed"] == [{"before": {"building": "B"}, "after": {"building": "A"}}, None]
    assert [row["Building"] for row in spreadsheet.opened(seen["report"])] == ["B", "A"]
    assert seen["sites"] == {"SEP00000000000A": "A", "SEP00000000000B": "B"}
    assert "building" in seen["refused"] and "A, B" in seen["refused"]
    options, fragments = dict[str, Any](), dict[str, Any]()
    exec(seen["generated"]["plugins/module_utils/_phone_fields.py"], options)
    exec(seen["generated"]["plugins/doc_fragments/phone_fields.py"], fragments)
    assert options["PHONE_SETTINGS"]["building"] == {"type": "str", "choices": ["A", "B"]}
    assert "building" in options["FIELDS"] and "Building" in options["REPORT_TITLES"]
    documented = yaml.safe_load(fragments["ModuleDocFragment"].DOCUMENTATION)["options"]["phones"]["suboptions"]
    reported, default = documented["building"].pop("description")
    assert reported == "The building." and "V(A)" in default
    assert documented["building"] == {"type": "str", "choices": ["A", "B"]}


def test_the_table_of_fields_and_the_database_agree() -> None:
    kept = {column.name for column in schema.phones.columns} - {"device_name", "operation_id"}
    assert {field.name for field in settings()} == kept
    assert all(field.help for field in settings())
    assert len({field.title for field in FIELDS}) == len({field.name for field in FIELDS}) == len(FIELDS)
    for field in FIELDS:
        assert not field.choices or field.default is None or field.default in field.choices
        assert not field.searchable or field.kind in (FieldKind.TEXT, FieldKind.MOMENT, FieldKind.HIDDEN)
