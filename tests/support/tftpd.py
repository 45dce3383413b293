# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian's in.tftpd in a separate process, on a free loopback UDP port; it needs root for its chroot."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

IN_TFTPD = "/usr/sbin/in.tftpd"
_START_SECONDS = 10


def free_udp_port() -> int:
    """Return a UDP port that is now free on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class RunningTftpd:
    """in.tftpd with the options of the role, running until ``stop``."""

    def __init__(self, directory: Path) -> None:
        assert Path(IN_TFTPD).exists(), "please install: tftpd-hpa"
        assert os.geteuid() == 0, "in.tftpd --secure needs root"
        self.directory = directory
        self.port = free_udp_port()
        directory.mkdir(mode=0o755, exist_ok=True)
        argv: list[str | Path] = [
            IN_TFTPD,
            "--foreground",
            "--address",
            f"127.0.0.1:{self.port}",
            "--user",
            "nobody",
            "--secure",
            directory,
        ]
        self.process = subprocess.Popen(argv)
        limit = time.monotonic() + _START_SECONDS
        while not self._listens():
            assert time.monotonic() < limit and self.process.poll() is None, "in.tftpd does not start"
            time.sleep(0.02)

    def _listens(self) -> bool:
        """Return whether the port is in use."""
        lines = Path("/proc/net/udp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(f":{self.port:04X}") for line in lines)

    def put(self, name: str, data: bytes) -> None:
        """Write a file that everybody can read."""
        path = self.directory / name
        path.write_bytes(data)
        path.chmod(0o644)

    def stop(self) -> None:
        """Stop the process; its children, which serve transfers, end with it or by themselves."""
        self.process.terminate()
        self.process.wait(_START_SECONDS)
