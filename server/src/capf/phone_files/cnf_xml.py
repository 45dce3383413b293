# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A phone's configuration file: a new one with the CAPF settings, or the administrator's own file with them edited in.

An edit only changes the bytes of the elements that it sets. Everything else, including comments, white space,
declaration, encoding and line ends, stays unchanged: nothing is parsed and written again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from capf.model import CapfError

MAXIMUM_SERVERS = 5
MAXIMUM_BYTES = 1_000_000
_ROOT = "device"
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_START_TAG = re.compile(rb"""<(?:"[^"]*"|'[^']*'|[^'">])*>""")
_EMPTY_TAG = b"/>"
_LINE_END = re.compile(rb"\r?\n\Z")
_CHILD, _CAPF, _CAPF_FIELD = 1, 2, 3
_LIST, _IP_MODE = "capfList", "ipAddressMode"


class ConfigurationError(CapfError):
    """A file that cannot be edited; the message says why."""


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """The settings for a phone. ``servers`` are names or addresses of CAPF servers with their ports."""

    device_security_mode: int
    authentication_mode: int
    servers: tuple[tuple[str, int], ...]
    certificate_hash: str
    ip_address_mode: int
    encrypted: bool

    def elements(self) -> dict[str, str]:
        """Return the content of each element, as XML."""
        servers = (
            f"<capf><processNodeName>{escape(name)}</processNodeName><phonePort>{port}</phonePort></capf>"
            for name, port in self.servers[:MAXIMUM_SERVERS]
        )
        return {
            "deviceSecurityMode": str(self.device_security_mode),
            "capfAuthMode": str(self.authentication_mode),
            _LIST: "".join(servers),
            "certHash": self.certificate_hash,
            _IP_MODE: str(self.ip_address_mode),
            "encrConfig": str(self.encrypted).lower(),
        }


@dataclass(slots=True)
class _Element:
    """The root or one of its children: its start, the start of its end tag (or the end of its only tag) and content."""

    name: str
    start: int
    end: int = 0
    text: str = ""
    plain: bool = True
    servers: list[dict[str, str]] = field(default_factory=list)


def make(settings: PhoneSettings) -> bytes:
    """Return a file with only the CAPF settings."""
    return edit(b'<?xml version="1.0" encoding="UTF-8"?>\n<device>\n</device>\n', settings)


def edit(own: bytes, settings: PhoneSettings) -> bytes:
    """Return the administrator's own file with the CAPF settings in it; ConfigurationError if it cannot be edited.

    An element with an equivalent value keeps its bytes, and ``ipAddressMode`` keeps its value, because the
    administrator decides on the phone's network. Missing elements are added at the end.
    """
    if len(own) > MAXIMUM_BYTES:
        raise ConfigurationError(f"it has {len(own)} bytes; allowed: at most {MAXIMUM_BYTES}")
    wide = _WIDE.get(own[:2])
    if wide is None:
        return _edit(own, None, settings)
    try:
        return _edit(own.decode(wide).encode(), "utf-8", settings).decode().encode(wide)
    except UnicodeError:
        raise ConfigurationError(f"it is not valid {wide}; save it as UTF-8") from None


def check(own: bytes) -> None:
    """Raise ConfigurationError for a file that ``edit`` would refuse."""
    edit(own, PhoneSettings(1, 0, (), "", 0, encrypted=False))


def _edit(data: bytes, encoding: str | None, settings: PhoneSettings) -> bytes:
    root, children = _scan(data, encoding)
    elements = settings.elements()
    pieces, position = list[bytes](), 0
    for child in children:
        wanted = elements.get(child.name)
        if wanted is None or _says(child, wanted, settings):
            continue
        pieces += [data[position : child.start], _refilled(data, child, _xml(wanted))]
        position = child.end
    present = {child.name for child in children}
    missing = {name: content for name, content in elements.items() if name not in present}
    if _tag(data, root.start).endswith(_EMPTY_TAG):
        pieces += [data[: root.start], _refilled(data, root, _added(missing, b""))]
    else:
        line_end = _LINE_END.search(data, max(position, root.end - 2), root.end)
        pieces += [data[position : root.end], _added(missing, line_end[0] if line_end else b"")]
    return b"".join([*pieces, data[root.end :]])


def _says(child: _Element, wanted: str, settings: PhoneSettings) -> bool:
    """True if the element needs no change."""
    if child.name == _LIST:
        servers = [(item.get("processNodeName", ""), item.get("phonePort", "")) for item in child.servers]
        return servers == [(name, str(port)) for name, port in settings.servers[:MAXIMUM_SERVERS]]
    if child.name == _IP_MODE:
        return child.plain and child.text.strip() in ("0", "1", "2")
    return child.plain and child.text.strip() == wanted


def _refilled(data: bytes, child: _Element, content: bytes) -> bytes:
    """Return the element, up to its end tag, with new content; its start tag keeps its attributes."""
    tag = _tag(data, child.start)
    if tag.endswith(_EMPTY_TAG):
        return tag.removesuffix(_EMPTY_TAG) + b">" + content + f"</{child.name}>".encode()
    return tag + content


def _added(elements: Mapping[str, str], line_end: bytes) -> bytes:
    """Return elements, each on its own line if the root's end tag is on its own line."""
    indent = b"  " if line_end else b""
    return b"".join(indent + _xml(f"<{name}>{content}</{name}>") + line_end for name, content in elements.items())


def _xml(text: str) -> bytes:
    """Return text as bytes with the same meaning in every encoding of an XML file without a byte order mark."""
    return text.encode("ascii", "xmlcharrefreplace")


def _tag(data: bytes, start: int) -> bytes:
    found = _START_TAG.match(data, start)
    if found is None:
        raise ConfigurationError(f"no tag at byte {start}")
    return found[0]


class _Scan:
    """Locates the root and its children.

    Prefixes of names are not resolved, because real files have ``xsi:type`` without a declaration.
    """

    def __init__(self, encoding: str | None) -> None:
        self.root = _Element(_ROOT, 0)
        self.children: list[_Element] = []
        self._path: list[str] = []
        self.parser = expat.ParserCreate(encoding)
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = _refuse_doctype

    def _start(self, name: str, _unused: Mapping[str, str]) -> None:
        match len(self._path):
            case 0:
                if name != _ROOT:
                    raise ConfigurationError(f"its root is <{name}>; allowed: <{_ROOT}>")
                self.root.start = self.parser.CurrentByteIndex
            case 1:
                self.children.append(_Element(name, self.parser.CurrentByteIndex))
            case depth:
                self.children[-1].plain = False
                if (depth, name) == (_CAPF, "capf"):
                    self.children[-1].servers.append({})
        self._path.append(name)

    def _end(self, _unused: str) -> None:
        self._path.pop()
        if len(self._path) <= _CHILD:
            (self.children[-1] if self._path else self.root).end = self.parser.CurrentByteIndex

    def _text(self, characters: str) -> None:
        depth = len(self._path) - 1
        if depth == _CHILD:
            self.children[-1].text += characters
        elif depth == _CAPF_FIELD and self._path[_CAPF] == "capf":
            server = self.children[-1].servers[-1]
            server[self._path[depth]] = server.get(self._path[depth], "") + characters


def _scan(data: bytes, encoding: str | None) -> tuple[_Element, list[_Element]]:
    """Return the root and its children; ConfigurationError if it is not a phone configuration file."""
    scan = _Scan(encoding)
    try:
        scan.parser.Parse(data, True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        raise ConfigurationError(f"it is not well-formed XML at {place}") from None
    except (ValueError, LookupError):
        raise ConfigurationError("it is not XML in an encoding that can be read; save it as UTF-8") from None
    return scan.root, scan.children


def _refuse_doctype(*_unused: object) -> None:
    raise ConfigurationError("it has a document type declaration, which is not allowed in phones' files")
