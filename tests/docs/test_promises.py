# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every promise is written down, has a test that carries its number, and a mutant that the test notices."""

from __future__ import annotations

import re
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
HEADING = re.compile(r"^- \*\*P(\d+)\*\*", re.MULTILINE)
TEST = re.compile(r"^(?:async )?def test_((?:p\d+_)+)", re.MULTILINE)


def _promised() -> list[int]:
    return list(map(int, HEADING.findall((ROOT / "docs" / "promises.md").read_text())))


def _tested() -> set[int]:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return {int(number) for names in TEST.findall(sources) for number in re.findall(r"\d+", names)}


def test_every_promise_has_a_sentence_and_a_test() -> None:
    promised = _promised()
    assert promised == sorted(set(promised))
    assert _tested() == set(promised)


def test_every_promise_has_a_mutant() -> None:
    mutants = {int(path.stem.removeprefix("p")) for path in (ROOT / "tests" / "mutants").glob("p*.toml")}
    assert mutants == set(_promised())


def _mutants_script() -> ModuleType:
    """Import scripts/mutants, whose name has no suffix."""
    spec = spec_from_loader("mutants", SourceFileLoader("mutants", str(ROOT / "scripts" / "mutants")))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["mutants"] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


def test_every_mutant_changes_one_place_and_names_one_test() -> None:
    script = _mutants_script()
    wrong = []
    for mutant in script.load(ROOT, []):
        try:
            script.mutate(ROOT, mutant)
            script.test_id(ROOT, mutant.test)
        except script.MutantError as error:
            wrong.append(f"{mutant}: {error}")
    assert wrong == []
