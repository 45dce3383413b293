# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script account, which the molecule scenarios run after each fault, finds differences."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ACCOUNT = Path(__file__).parents[2] / "extensions" / "molecule" / "shared" / "account"
RECORD = {"known": ["1", "2", "3"], "active": {"SEPA": "1", "SEPB": "2"}, "used_twice": []}
FLASH = {"SEPA": "1", "SEPB": "2"}


def settle(
    directory: Path, record: dict[str, Any], flash: dict[str, str], names: str = "SEPA SEPB", to_visit: str = ""
) -> tuple[int, str]:
    """Return the exit status and the output of the script."""
    phones, summary = directory / "phones.csv", directory / "summary.json"
    phones.write_text("\n".join(["device_name", *names.split()]))
    summary.write_text(json.dumps({"to_visit": [{"device_name": name} for name in to_visit.split()]}))
    given = json.dumps({"record": RECORD | record, "flash": flash})
    argv: list[str | Path] = [sys.executable, ACCOUNT, phones, summary]
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_an_even_account(tmp_path: Path) -> None:
    status, said = settle(tmp_path, {}, FLASH)
    assert status == 0 and "2 of 2 phones have an active LSC" in said and "report agree" in said
    assert settle(tmp_path, {}, FLASH, "SEPA SEPB SEPC", to_visit="SEPC")[0] == 0


@pytest.mark.parametrize(
    ("record", "flash", "said"),
    [
        ({}, {"SEPA": "1"}, "SEPB has no active LSC, and the report does not list it"),
        ({"active": {"SEPA": "1"}}, FLASH, "SEPB has no active LSC"),
        ({}, {"SEPA": "1", "SEPB": "3"}, "SEPB has no active LSC"),
        ({}, FLASH | {"SEPX": "9"}, "SEPX has a certificate that is not in the database"),
        ({"used_twice": ["operation 7"]}, FLASH, "operation 7"),
    ],
)
def test_an_uneven_account(tmp_path: Path, record: dict[str, Any], flash: dict[str, str], said: str) -> None:
    status, output = settle(tmp_path, record, flash)
    assert status == 1 and said in output and "report agree" not in output
