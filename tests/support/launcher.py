# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts a program without its imports: as a fork of a process that has imported the program once for all tests.

What runs then is what the command runs: a separate process with the given arguments, directory, environment and output,
which ends by itself or by a signal. Only /proc/PID/cmdline differs: it names ``forking.py``, which forks.
"""

from __future__ import annotations

import atexit
import contextlib
import marshal
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from support.waiting import until

_FORKING = Path(__file__).with_name("forking.py")
_START_SECONDS = 90
_CLIENT = """#!{python} -IS
import _socket, marshal, posix, sys
keeper = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
keeper.connect({path!r})
rights = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
request = marshal.dumps((sys.argv, posix.getcwd(), posix.environ))
keeper.sendmsg([request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
keeper.recv(64)
status = int(keeper.recv(64) or 256)
posix._exit(status >> 8 if not status & 127 else 128 + (status & 127))
"""
"""The shortest program that has another one launched and ends as that one does."""


class Process:
    """A program that was launched; used as ``subprocess.Popen`` is."""

    def __init__(self, keeper: socket.socket, argv: Sequence[str]) -> None:
        """``keeper``: the connection to its keeper, which says first its process id and then its status."""
        self.args = argv
        self.returncode: int | None = None
        self._keeper = keeper
        self.pid = int(keeper.recv(64))

    def poll(self) -> int | None:
        """Return the exit status, None while it runs; the negative number of the signal that ended it."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; TimeoutExpired when it does not come in time."""
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._keeper], [], [], seconds)[0]:
            self.returncode = os.waitstatus_to_exitcode(int(self._keeper.recv(64)))
            self._keeper.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Launcher:
    """Launches one program as often as a test wants.

    What forks it is started for the first one, and ends with this process. ``main`` is the program's function
    (``package.module:function``).
    """

    def __init__(self, name: str, main: str, *imports: str, env: Mapping[str, str] | None = None) -> None:
        """``name``: the program's argument 0; ``imports``: modules that it needs and does not import at its start,
        or functions in them (``package.module:function``) that prepare what each process would prepare again.

        ``env``: the environment in which it is imported, where that matters.
        """
        self._name = name
        self._env = env
        self._argv = [sys.executable, "-P", str(_FORKING), main, *imports]

    @cached_property
    def _path(self) -> Path:
        """The socket of what forks, which is started here."""
        directory = Path(tempfile.mkdtemp(prefix="capf-launcher-"))
        atexit.register(shutil.rmtree, directory)
        path = directory / "socket"
        argv = [*self._argv, str(path)]
        self._forking = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self._env)
        until(lambda: path.exists() or self._forking.poll() is not None, _START_SECONDS)
        return path

    @cached_property
    def client(self) -> Path:
        """A program that has this one launched with its own arguments, for those that can only start a file."""
        path = self._path.with_name(self._name)
        path.write_text(_CLIENT.format(python=sys.executable, path=str(self._path)))
        path.chmod(0o755)
        return path

    def start(
        self,
        *argv: str | Path,
        output: int,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Start the program with its output and its errors to a file descriptor, and with no input."""
        arguments = [self._name, *map(str, argv)]
        variables = {os.fsencode(name): os.fsencode(value) for name, value in (env or os.environ).items()}
        keeper = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        keeper.connect(str(self._path))
        with open(os.devnull, "rb") as nothing:
            request = marshal.dumps((arguments, str(cwd or Path.cwd()), variables))
            socket.send_fds(keeper, [request], [nothing.fileno(), output, output])
        return Process(keeper, arguments)

    def run(self, *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run the program to its end; returns its exit status, and its output with its errors."""
        with tempfile.TemporaryFile() as output:
            status = self.start(*argv, output=output.fileno(), cwd=cwd, env=env).wait()
            output.seek(0)
            return status, output.read().decode()
