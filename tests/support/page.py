# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parses a page of the server."""

from __future__ import annotations

from html.parser import HTMLParser

_SINGLE = ("meta", "rect")


class Page(HTMLParser):
    """Collects the tags, the cells, and the words of each part of a page, and fails on tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self.links: list[str] = []
        self.labels: list[str] = []
        self.parts: dict[str, str] = {}
        """Words by the id of their element, or by an empty id."""
        self._open: list[tuple[str, str]] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.labels += [given["aria-label"] or ""] if "aria-label" in given else []
        if tag not in _SINGLE:
            part = given.get("id") or (self._open[-1][1] if self._open else "")
            self._open.append((tag, part))

    def handle_endtag(self, tag: str) -> None:
        if tag not in _SINGLE:
            assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if not self._open or not data.strip():
            return
        tag, part = self._open[-1]
        if tag == "td":
            self.cells.append(data)
        self.parts[part] = f"{self.parts.get(part, '')} {' '.join(data.split())}".strip()
