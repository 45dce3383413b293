"""What a phone reads in its configuration file (protocol page: Phone configuration file)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from xml.etree import ElementTree

from capf.lab.credentials import MODE_NONE

DEFAULT_PORT = 3804
MAXIMUM_SERVERS = 5
NON_SECURE = 1
_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Configuration:
    """The CAPF part of a phone's configuration."""

    security_mode: int = NON_SECURE
    authentication_mode: int = MODE_NONE
    servers: tuple[tuple[str, int], ...] = ()

    def kept(self) -> dict[str, Any]:
        """Return what flash keeps of it while an operation runs (R6)."""
        return asdict(self)

    @classmethod
    def from_flash(cls, kept: dict[str, Any]) -> Configuration:
        """Return what flash kept."""
        servers = tuple((str(name), int(port)) for name, port in kept["servers"])
        return cls(int(kept["security_mode"]), int(kept["authentication_mode"]), servers)


def parse(data: bytes) -> Configuration | None:
    """Return the configuration, None when the file is unreadable."""
    if len(data) > _LARGEST or b"<!DOCTYPE" in data:
        return None
    try:
        device = ElementTree.fromstring(data)  # noqa: S314 - no DTD and a bounded size: nothing can expand
        servers = tuple(
            (entry.findtext("processNodeName", ""), int(entry.findtext("phonePort", str(DEFAULT_PORT))))
            for entry in device.findall("capfList/capf")
        )
        return Configuration(
            security_mode=int(device.findtext("deviceSecurityMode", "1")),
            authentication_mode=int(device.findtext("capfAuthMode", "0")),
            servers=servers[:MAXIMUM_SERVERS],
        )
    except (ElementTree.ParseError, ValueError):
        return None
