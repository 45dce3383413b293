# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks the ports of CAPF: they must not be used by the server itself, and the host has to allow them (P36)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

from capf.model import CapfError
from capf.node.node_settings import NodeSettings
from capf.registry.parameters import IPV6, PORT, InForce, Obstacle


class Ports:
    """The ports of one node; ``running`` are the parameters of the CAPF that listens now, None while it does not."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self.running: InForce | None = None

    def addresses(self, wanted: InForce) -> tuple[str, ...]:
        """Return where CAPF listens with these parameters."""
        six = self._settings.capf_addresses_ipv6 if wanted.flag(IPV6) else ()
        return tuple(dict.fromkeys((*self._settings.capf_addresses, *six)))

    def why_not_listen(self, wanted: InForce) -> Sequence[Obstacle]:
        """Return what would keep CAPF from listening now; its own open sockets do not count."""
        if not self._settings.first_node:
            return ()
        port = wanted.number(PORT)
        if clash := self.clash(wanted):
            return clash
        held = () if self.running is None or self.running.number(PORT) != port else self.addresses(self.running)
        wanting = [address for address in self.addresses(wanted) if address not in held]
        return [found for address in wanting if (found := self._obstacle(address, port)) is not None]

    def clash(self, wanted: InForce) -> Sequence[Obstacle]:
        """Return the conflict with a port that the server uses itself, whatever its addresses are."""
        port, own = wanted.number(PORT), self._own()
        if port not in own:
            return ()
        used = ", ".join(f"{name} {number}" for number, name in own.items())
        reason = f"CAPF Phone Port {port} is already used by this server's own {own[port]}"
        return [Obstacle((PORT,), reason, f"choose a port that the server does not use itself ({used})")]

    def _own(self) -> dict[int, str]:
        own = {self._settings.administration_port: "administration"}
        return own | ({self._settings.files_port: "files"} if self._settings.files_enabled else {})

    def _obstacle(self, address: str, port: int) -> Obstacle | None:
        error = bind_error(address, port)
        if error is None:
            return None
        where = _shown(address, port)
        reason = f"CAPF cannot listen on port {port} ({where}: {error.strerror})"
        if address in self._settings.capf_addresses:
            return Obstacle((PORT,), reason, "choose a port that is free on this node")
        names = (PORT, IPV6) if error.errno == errno.EADDRINUSE else (IPV6,)
        todo = f"choose a port that is free on this node, or set {IPV6} to False"
        return Obstacle(names, reason, todo)


def check_free(what: str, addresses: Sequence[str], port: int) -> None:
    """Raise CapfError if one of the server's addresses cannot be used."""
    for address in addresses:
        error = bind_error(address, port)
        if error is not None:
            raise CapfError(f"{what} cannot listen on {_shown(address, port)}: {error.strerror}")


def _shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def bind_error(address: str, port: int) -> OSError | None:
    """Return why a port cannot be bound now, None if it can; the socket accepts nothing and is closed again."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        return error
    return None
