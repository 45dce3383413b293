# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""All citations in code, tests and documents can be found in the repository: requirements, promises, pages, tables."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PUBLISHED = "https://github.com/ucm-capf/ucm.capf/blob/main/"
"""How README, which Galaxy shows too, names a file of the repository."""
NUMBER = re.compile(r"(?<![\w.%-])([RP])(\d{1,2})\b(?![-.\w])|\btest_((?:[rp]\d+_)+)")
TABLE = re.compile(r"\bTable (\d+-\d+)")
PAGE = re.compile(r"(?<![\w/.{~-])((?:docs/)?[\w-]+\.md)\b(?!\w|\d|\()(?:,\s+\"([^\"]+)\")?")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
VAGUE = re.compile(
    r"\b(protocol|reference|design|CTL|facts) page\b|\bthe design's\b|\bthe field's facts\b", re.IGNORECASE
)
OUTSIDE = {"tests/vectors", "tests/data"}
"""Recorded by others, in their own words."""


@cache
def texts() -> dict[Path, str]:
    """Return every text file that git tracks or would track."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    names = [name for name in listed if name and not any(name.startswith(f"{folder}/") for folder in OUTSIDE)]
    found = {}
    for path in (ROOT / name for name in names if name != "LICENSE" and not name.startswith("LICENSES/")):
        try:
            found[path] = path.read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return found


def documents() -> dict[Path, str]:
    """Return the pages."""
    return {path: text for path, text in texts().items() if path.suffix == ".md"}


def places(pattern: re.Pattern[str]) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield each match in any file except this one, with its position."""
    for path, text in texts().items():
        for found in pattern.finditer(text) if path != Path(__file__) else ():
            yield f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}", found


def numbers(found: re.Match[str]) -> set[str]:
    """Return the requirements and promises that a citation names."""
    return {item.upper() for item in found[3].split("_") if item} if found[3] else {f"{found[1]}{found[2]}"}


def test_every_requirement_and_promise_that_is_cited_has_its_sentence() -> None:
    pages = (DOCS / "requirements.md").read_text() + (DOCS / "promises.md").read_text()
    said = set(re.findall(r"^- \*\*([RP]\d+)\*\*", pages, re.MULTILINE))
    cited = [(place, name) for place, found in places(NUMBER) for name in numbers(found)]
    assert [(place, name) for place, name in cited if name not in said] == []
    assert len(cited) > 500


def test_every_table_that_is_cited_is_a_heading_and_its_source_is_named() -> None:
    headings = " ".join(heading for text in documents().values() for heading in HEADING.findall(text))
    cited = {found[1] for _unused, found in places(TABLE)}
    assert cited == {"10-1", "10-2", "10-3"}
    assert {name for name in cited if f"(Table {name})" not in headings} == set()
    assert "Security Guide, Release 8.5(1)" in (DOCS / "requirements.md").read_text().replace("\n", " ")


def test_every_page_and_heading_that_is_cited_exists() -> None:
    missing = []
    for place, found in places(PAGE):
        name, heading = found[1], found[2]
        candidates = [ROOT / name, DOCS / name, ROOT / place.rpartition("/")[0] / name]
        page = next((path for path in candidates if path.exists()), None)
        if page is None or (heading and heading not in HEADING.findall(page.read_text())):
            missing.append((place, found[0]))
    assert missing == []


def anchor(heading: str) -> str:
    """Return the anchor that a forge generates for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for path, text in documents().items():
        for target in LINK.findall(text.replace(PUBLISHED, f"{ROOT}/")):
            name, _hash, fragment = target.partition("#")
            if "://" in name:
                continue
            page = (path.parent / name) if name else path
            if not page.exists() or (fragment and fragment not in map(anchor, HEADING.findall(page.read_text()))):
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []


def test_every_page_is_reached_from_readme() -> None:
    reached, todo = set[Path](), [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    while todo:
        page = todo.pop()
        if page not in reached:
            reached.add(page)
            text = page.read_text().replace(PUBLISHED, f"{ROOT}/")
            links = (target.partition("#")[0] for target in LINK.findall(text) if "://" not in target)
            todo += [
                path for name in links if name.endswith(".md") and (path := (page.parent / name).resolve()).exists()
            ]
    assert {path.name for path in DOCS.glob("*.md")} - {path.name for path in reached} == set()


def test_no_source_is_cited_that_a_reader_cannot_find() -> None:
    assert [(place, found[0]) for place, found in places(VAGUE)] == []
