# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks, roles and plugins act on codes and fields of answers, never on the words of a message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
PLACES = ("roles/*/tasks/**/*.yml", "roles/*/handlers/**/*.yml", "playbooks/**/*.yml", "plugins/**/*.py",
          "extensions/eda/**/*.py", "extensions/eda/**/*.yml")  # fmt: skip
SOURCES = sorted(path for place in PLACES for path in TREE.glob(place))
WORDS = r"(?:msg|message|stderr|stdout|said|output|error|str\(error\))(?!\w)"
BY_WORDS = (
    re.compile(rf"""("|')[^"'\n]+ [^"'\n]+\1\s+(?:not\s+)?in\s+\(?[\w.]*{WORDS}"""),
    re.compile(rf"""\b{WORDS}[\w.]*\s*(?:is\s+(?:not\s+)?(?:search|match|regex)\b|\|\s*regex_search)"""),
    re.compile(rf"""\b{WORDS}\.(?:startswith|endswith|find|index)\("""),
    re.compile(rf"""\bre\.\w+\([^)\n]*\b{WORDS}"""),
)
"""Searches for a text of several words in a message, including patterns and prefixes."""


def matches(text: str) -> list[str]:
    """Return the parts of a file that act on the words of a message."""
    return [found[0] for pattern in BY_WORDS for found in pattern.finditer(text)]


def test_there_are_sources() -> None:
    assert len(SOURCES) > 80


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(TREE)))
def test_no_playbook_or_plugin_decides_by_the_words_of_a_message(source: Path) -> None:
    assert matches(source.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "failed_when: found is failed and 'another run of the rollout' not in found.msg",
        "changed_when: \"'changed: nothing' not in capf_server_trusted.stdout\"",
        "when: found.msg is search('another run')",
        'if "led by" in error:',
        "if str(error).startswith('led'):",
        "changed = not output.startswith(_UNCHANGED)",
        "if re.search('led', message):",
    ],
)
def test_a_decision_by_words_is_found(text: str) -> None:
    assert matches(text)
