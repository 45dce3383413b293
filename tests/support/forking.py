# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process behind a launcher: it imports a program, and forks it whenever somebody asks at its socket.

Usage: forking.py MODULE:FUNCTION [MODULE or MODULE:FUNCTION ...] SOCKET; it ends when its input does.
The further modules are imported, and their functions called, before a fork.

For each program it forks a keeper, which waits for the program and says how it ended, as only a parent can.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import marshal
import os
import select
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

_LONGEST_REQUEST = 1 << 17
_OWN, _MOST = 3, 256
"""The first file descriptor that is neither input nor output, and one beyond all that this process has."""


def ansible_module() -> None:
    """Do what an interpreter does with the module that ansible gives it as a file, or as its input (pipelining)."""
    sys.argv = sys.argv[1:] or [""]
    main = sys.modules["__main__"] = ModuleType("__main__")
    if sys.argv[0]:
        main.__file__ = sys.argv[0]
    source = Path(sys.argv[0]).read_bytes() if sys.argv[0] else sys.stdin.buffer.read()
    exec(compile(source, sys.argv[0] or "<stdin>", "exec"), vars(main))


def ansible_playbook() -> object:
    """Run ansible-playbook with its own temporary files, whose directory ansible chooses when it is imported."""
    constants = vars(importlib.import_module("ansible.constants"))
    with tempfile.TemporaryDirectory(
        prefix="ansible-local-", dir=Path(constants["DEFAULT_LOCAL_TMP"]).parent
    ) as directory:
        constants["DEFAULT_LOCAL_TMP"] = directory
        return importlib.import_module("ansible.cli.playbook").main()


def _load(main: str, imports: Sequence[str]) -> Callable[[], object]:
    """Import a program; without garbage collection, as what is imported stays."""
    gc.disable()
    for other in imports:
        needed, colon, preparing = other.partition(":")
        imported = importlib.import_module(needed)
        if colon:
            getattr(imported, preparing)()
    module, _colon, name = main.rpartition(":")
    function: Callable[[], object] = getattr(importlib.import_module(module), name) if module else globals()[name]
    gc.freeze()
    gc.enable()
    return function


def _become(request: tuple[list[str], str, dict[bytes, bytes]], descriptors: Sequence[int]) -> None:
    """Take over a program's arguments, directory, environment, input and output; nothing else stays open."""
    for given, number in zip(descriptors, (0, 1, 2), strict=True):
        os.dup2(given, number)
    os.closerange(_OWN, _MOST)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv, directory, variables = request
    os.chdir(directory)
    os.environb.clear()
    os.environb.update(variables)
    time.tzset()


def _keep(asked: socket.socket) -> bool:
    """Fork the requested program and report on it; returns True in the program, and never in its keeper."""
    data, descriptors, _flags, _address = socket.recv_fds(asked, _LONGEST_REQUEST, 3)
    if len(descriptors) != 3:  # who asked is gone
        os._exit(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    program = os.fork()
    if program == 0:
        asked.detach()
        _become(marshal.loads(data), descriptors)
        return True
    for descriptor in (0, 1, 2, *descriptors):
        os.close(descriptor)
    with contextlib.suppress(OSError):  # the caller may have ended
        asked.send(b"%d" % program)
    _program, status = os.waitpid(program, 0)
    with contextlib.suppress(OSError):
        asked.send(b"%d" % status)
    os._exit(0)


def _serve(path: str) -> bool:
    """Fork programs until the input ends; returns True in each program, False in this process."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who interrupts the tests ends the input too
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(f"{path}.new")
    listening.listen(64)
    os.rename(f"{path}.new", path)
    either: list[int | socket.socket] = [0, listening]
    while True:
        if 0 in select.select(either, [], [])[0]:
            return False
        asked, _address = listening.accept()
        if os.fork() == 0:
            listening.detach()
            return _keep(asked)
        asked.close()


if __name__ == "__main__":
    program = _load(sys.argv[1], sys.argv[2:-1])
    if _serve(sys.argv[-1]):
        sys.exit(program())  # type: ignore[arg-type]
