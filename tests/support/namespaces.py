# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two network namespaces, for servers and phones, connected by a virtual cable (needs root and iproute2)."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

SERVER_IPV4, SERVER_IPV6 = "192.0.2.1", "2001:db8::1"
PHONES_IPV4, PHONES_IPV6 = "192.0.2.2", "2001:db8::2"
CAPF_NAME, FILES_NAME = "capf1.example", "tftp1.example"
_LENGTHS = {SERVER_IPV4: 24, SERVER_IPV6: 64, PHONES_IPV4: 24, PHONES_IPV6: 64}
_NEW_NETWORK = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Namespaces:
    """``servers`` and ``phones``, with names of this process; ``capf_has`` sets the addresses in the phones' DNS."""

    def __init__(self) -> None:
        assert os.geteuid() == 0, "network namespaces need root"
        assert shutil.which("ip") is not None, "please install: iproute2"
        self.servers, self.phones = f"capf-s{os.getpid()}", f"capf-p{os.getpid()}"
        self._hosts = Path("/etc/netns") / self.phones / "hosts"

    def make(self) -> None:
        """Create both namespaces and the cable."""
        self._hosts.parent.mkdir(parents=True)
        self.capf_has("46")
        ends = f"cs{os.getpid()}", f"cp{os.getpid()}"
        for name in (self.servers, self.phones):
            _ip("netns", "add", name)
        _ip(
            "link", "add", ends[0], "netns", self.servers, "type", "veth", "peer", "name", ends[1], "netns", self.phones
        )
        addresses = (SERVER_IPV4, SERVER_IPV6), (PHONES_IPV4, PHONES_IPV6)
        for name, end, own in zip((self.servers, self.phones), ends, addresses, strict=True):
            _ip("-n", name, "link", "set", "lo", "up")
            for address in own:
                nodad = ["nodad"] if ":" in address else []
                _ip("-n", name, "addr", "add", f"{address}/{_LENGTHS[address]}", "dev", end, *nodad)
            _ip("-n", name, "link", "set", end, "up")

    def remove(self) -> None:
        """Remove existing namespaces; the cable disappears with its ends."""
        for name in (self.servers, self.phones):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        shutil.rmtree(self._hosts.parent, ignore_errors=True)

    def capf_has(self, families: str) -> None:
        """Give CAPF's name an IPv4 address, an IPv6 address, or both: ``4``, ``6`` or ``46``."""
        lines = [
            f"{SERVER_IPV4} {CAPF_NAME}\n" if family == "4" else f"{SERVER_IPV6} {CAPF_NAME}\n" for family in families
        ]
        with self._hosts.open("r+" if self._hosts.exists() else "w") as hosts:
            hosts.truncate()
            hosts.write(
                f"127.0.0.1 localhost\n{SERVER_IPV4} {FILES_NAME}\n{SERVER_IPV6} {FILES_NAME}\n" + "".join(lines)
            )

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Move this thread and its child processes to a namespace."""
        with Path("/proc/thread-self/ns/net").open() as before, (Path("/run/netns") / name).open() as wanted:
            _enter(wanted.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "setns")
