# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The resources of a process, and the cost of a signature on this machine."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_TICKS = os.sysconf("SC_CLK_TCK")
_SIGNATURES = 400


class Meter:
    """Processor time and memory of a process, from now on."""

    def __init__(self, pid: int) -> None:
        self._directory = Path(f"/proc/{pid}")
        (self._directory / "clear_refs").write_text("5")
        self._begin = self._cpu()

    def _cpu(self) -> float:
        fields = (self._directory / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def cpu_seconds(self) -> float:
        """Return the processor time, user and system, since the meter was created."""
        return self._cpu() - self._begin

    def memory_mib(self) -> float:
        """Return the current resident memory."""
        return self._status("VmRSS")

    def largest_mib(self) -> float:
        """Return the peak resident memory of the process since the meter was created."""
        return self._status("VmHWM")

    def _status(self, name: str) -> float:
        found = re.search(rf"{name}:\s+(\d+) kB", (self._directory / "status").read_text())
        assert found
        return int(found[1]) / 1024


def signature_milliseconds() -> float:
    """Return the time of one RSA-2048 signature on one core; a session needs two, for TLS and for the LSC."""
    key = rsa.generate_private_key(65537, 2048)
    begin = time.process_time()
    for _index in range(_SIGNATURES):
        key.sign(b"data", padding.PKCS1v15(), hashes.SHA256())
    return (time.process_time() - begin) / _SIGNATURES * 1000
