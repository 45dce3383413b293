# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data that a phone reads from its configuration file (docs/phone-files.md, "Phone configuration file")."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from capf_lab.credentials import MODE_NONE
from capf_lab.network import IpMode

DEFAULT_PORT = 3804
MAXIMUM_SERVERS = 5
NON_SECURE = 1
_LARGEST = 1_000_000
_IP_MODES = {0: IpMode.IPV4, 1: IpMode.IPV6, 2: IpMode.DUAL}


@dataclass(frozen=True, slots=True)
class Configuration:
    """The CAPF part of a phone's configuration."""

    security_mode: int = NON_SECURE
    authentication_mode: int = MODE_NONE
    servers: tuple[tuple[str, int], ...] = ()
    certificate_hash: str = ""
    ip_mode: IpMode = IpMode.DUAL

    def kept(self) -> dict[str, Any]:
        """Return the data that flash keeps during an operation (R6)."""
        return asdict(self)

    @classmethod
    def from_flash(cls, kept: dict[str, Any]) -> Configuration:
        """Return the configuration that was kept in flash."""
        servers = tuple((str(name), int(port)) for name, port in kept["servers"])
        modes = int(kept["security_mode"]), int(kept["authentication_mode"])
        return cls(*modes, servers, str(kept["certificate_hash"]), IpMode(kept["ip_mode"]))


def parse(data: bytes) -> Configuration | None:
    """Return the configuration, None if the file is unreadable."""
    if len(data) > _LARGEST:
        return None
    try:
        device = _tree(data)
        servers = tuple(
            (entry.findtext("processNodeName", ""), int(entry.findtext("phonePort", str(DEFAULT_PORT))))
            for entry in device.findall("capfList/capf")
        )
        return Configuration(
            security_mode=int(device.findtext("deviceSecurityMode", "1")),
            authentication_mode=int(device.findtext("capfAuthMode", "0")),
            servers=servers[:MAXIMUM_SERVERS],
            certificate_hash=device.findtext("certHash", "").strip().lower(),
            ip_mode=_IP_MODES[int(device.findtext("ipAddressMode", "2"))],
        )
    except (expat.ExpatError, ValueError, LookupError):
        return None


def _tree(data: bytes) -> ElementTree.Element:
    """Read XML as phones do: prefixes need no declaration, and a document type declaration is refused."""
    builder, parser = ElementTree.TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.Parse(data, True)
    return builder.close()


def _refuse_doctype(*_unused: object) -> None:
    raise ValueError
