# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""One phone's connection: TLS, deadlines, and what ``dialogue`` asks for.

Nothing here blocks. The event loop reports that bytes have arrived or that the record has answered, and the connection
continues as far as it can. The listener checks its deadline from time to time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import select
import ssl
from collections import deque
from math import inf
from typing import Protocol

from capf.model import CapfError, StoreUnavailableError
from capf.network.door import Guest, gather_until_closed
from capf.phone_session.dialogue import Patience, dialogue
from capf.phone_session.effects import (
    Cause,
    Claim,
    Confirm,
    Fail,
    Fetched,
    Granted,
    Hold,
    Lost,
    Protest,
    Receive,
    RecordEffect,
    RecordReply,
    Refused,
    Reply,
    Send,
    Silence,
)
from capf.phone_session.wire import Message, Reader, WireError, encode

LOG = logging.getLogger(__name__)
_READ_BYTES = 16384
"""The size of the largest TLS record, so that one read leaves nothing behind in the TLS layer."""
_SEND_SECONDS = 30.0
_REFUSAL_SECONDS = 0.05
"""A refusal is always sent this long after its claim arrived, so that its timing does not reveal whether a device is
known, has an operation or is locked (P12)."""
_OLD_TLS = ("TLSv1", "TLSv1.1")
_LAST = (Confirm, Fetched, Fail, Lost)
"""The effects after which the session no longer has its operation."""


class Backend(Protocol):
    """The record behind the sessions; its futures are done after the commit."""

    def perform(self, effect: RecordEffect) -> asyncio.Future[RecordReply]: ...
    def refuse(self, cause: Cause) -> Refused: ...


class PhoneService(Protocol):
    """What a connection needs from its service."""

    backend: Backend
    tls: ssl.SSLContext
    patience: Patience
    handshake_seconds: float

    def enter(self, connection: PhoneConnection, device_name: str) -> bool:
        """Admit a connection that has named its device; False if that device has too many sessions."""

    def leave(self, connection: PhoneConnection) -> None:
        """A connection is closed."""


class PhoneConnection:
    """One phone's connection, from the start of TLS to its end."""

    __slots__ = (
        "_asked", "_asked_at", "_ending", "_garbage", "_hold", "_identifier", "_loop", "_lost", "_messages",
        "_number", "_open", "_outgoing", "_reading", "_service", "_socket", "_steps", "_tls", "_waiting", "_writing",
        "closed", "deadline", "device_name", "guest", "peer", "proved",
    )  # fmt: skip

    def __init__(self, service: PhoneService, guest: Guest) -> None:
        self.guest = guest
        self.peer = guest.peer
        self.device_name: str | None = None
        self.closed = self.proved = False
        self._service = service
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + service.handshake_seconds
        """The event loop's time at which ``expire`` is due."""
        self._socket = guest.socket
        self._number = guest.socket.fileno()
        self._identifier = secrets.randbits(32)
        self._steps = dialogue(self._identifier, guest.peer, service.patience)
        self._messages = Reader()
        self._outgoing: deque[bytes] = deque()
        self._hold: Hold | None = None
        self._asked_at = 0.0
        self._asked: asyncio.Future[RecordReply] | None = None
        self._tls: ssl.SSLSocket
        self._open = self._waiting = self._lost = self._garbage = self._ending = self._reading = self._writing = False

    def begin(self) -> None:
        """Start TLS."""
        self._read_when_possible(True)
        try:
            self._socket = self._tls = self._service.tls.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
        except OSError as error:
            self._refuse_tls(error)
            return
        self._handshake()

    def _handshake(self) -> None:
        self._write_when_possible(False)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._read_when_possible(True)
        except ssl.SSLWantWriteError:
            self._write_when_possible(True)
        except OSError as error:
            self._refuse_tls(error)
        else:
            self._open = True
            self._advance(None)

    def _refuse_tls(self, error: object) -> None:
        LOG.info("session=%08x event=tls-failed peer=%s error=%r", self._identifier, self.peer, str(error))
        self.close()

    def expire(self) -> None:
        """Handle a deadline that has passed; bytes that already arrived but were not read yet still count."""
        deadline = self.deadline
        if self._reading and self._has_bytes():
            self._readable()
        if self.closed or self.deadline != deadline:
            return
        if self._waiting:
            self._advance(Silence.TIMEOUT)
        elif not self._open:
            self._refuse_tls("no TLS handshake in time")
        else:
            self.close()

    def close(self) -> None:
        """Hang up."""
        if self.closed:
            return
        self.closed = True
        self._read_when_possible(False)
        self._write_when_possible(False)
        if self._open:
            with contextlib.suppress(OSError):
                self._tls.unwrap()
        self._socket.close()
        self._steps.close()
        self._service.leave(self)

    @property
    def deciding(self) -> bool:
        """True while the record is deciding on the phone's claim or recording what the phone has done."""
        return self._asked is not None

    async def break_off(self) -> None:
        """Hang up during the session, and report to the record that the session was lost."""
        asked = self._asked
        self.close()
        with contextlib.suppress(CapfError):
            decision = None if asked is None else await asked
            if isinstance(decision, Granted):
                self._hold = decision.hold
            if self._hold is not None:
                await self._service.backend.perform(Lost(self._hold))

    def _read_when_possible(self, wanted: bool) -> None:
        if wanted and not self._reading:
            self.guest.when_readable(self._readable)
        elif self._reading and not wanted:
            self.guest.ignore()
        self._reading = wanted

    def _write_when_possible(self, wanted: bool) -> None:
        if wanted and not self._writing:
            self._loop.add_writer(self._number, self._flush if self._open else self._handshake)
        elif self._writing and not wanted:
            self._loop.remove_writer(self._number)
        self._writing = wanted

    def _has_bytes(self) -> bool:
        poll = select.poll()
        poll.register(self._number, select.POLLIN)
        return bool(poll.poll(0))

    def _readable(self) -> None:
        if self._open:
            self._receive()
        else:
            self._handshake()

    def _receive(self) -> None:
        try:
            data = self._tls.recv(_READ_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except ssl.SSLError as error:
            self._malformed(str(error))
            data, self._garbage = b"", True
        except OSError:
            data = b""
        self._lost = not data
        self._messages.feed(data)
        if not self._waiting:
            self._read_when_possible(False)
        elif (reply := self._heard()) is not None:
            self._advance(reply)

    def _malformed(self, problem: str) -> None:
        """Log the one line for a session that ended because of malformed bytes; it contains no unescaped input."""
        LOG.warning("session=%08x event=malformed peer=%s error=%r", self._identifier, self.peer, problem)

    def _heard(self) -> Message | Silence | None:
        """Return the phone's next message, or why there will not be one; None if it may still arrive."""
        try:
            message = self._messages.next_message()
        except WireError as error:
            self._malformed(str(error))
            return Silence.GARBAGE
        if message is None and self._lost:
            return Silence.GARBAGE if self._garbage else Silence.LOST
        if message is None:
            self._read_when_possible(True)
        return message

    def _advance(self, reply: Reply) -> None:
        """Continue the dialogue until it has to wait for the phone or for the record."""
        self._waiting = False
        try:
            while True:
                effect = self._steps.send(reply)
                if isinstance(effect, Send):
                    self._outgoing.append(encode(effect.message))
                    reply = None
                elif isinstance(effect, Protest):
                    self._malformed(effect.problem)
                    reply = None
                elif isinstance(effect, Receive):
                    self._flush()
                    self._set_deadline(effect)
                    reply = self._heard()
                    if reply is None:
                        self._waiting = True
                        return
                else:
                    self._flush()
                    self.deadline = inf
                    self._ask(effect).add_done_callback(self._answered)
                    return
        except StopIteration:
            self._finish()
        except Exception:
            self._fail()

    def _set_deadline(self, wanted: Receive) -> None:
        """A phone that keeps reporting progress on its key gets no more time than a silent one (R8)."""
        if not wanted.goes_on:
            self.deadline = self._loop.time() + wanted.timeout

    def _fail(self, error: BaseException | None = None) -> None:
        """Handle an unexpected error: log it, hang up, and release the operation."""
        LOG.error("session=%08x event=session-error peer=%s", self._identifier, self.peer, exc_info=error or True)
        self._loop.create_task(self.break_off())

    def _finish(self) -> None:
        """Hang up as soon as the last message was sent; it leaves in one packet with the end of TLS and of TCP."""
        self._ending = True
        gather_until_closed(self._tls)
        self.deadline = self._loop.time() + _SEND_SECONDS
        self._read_when_possible(False)
        self._flush()

    def _flush(self) -> None:
        """Send the remaining messages, each in one TLS record; the next read notices a phone that has disconnected."""
        self._write_when_possible(False)
        try:
            while self._outgoing:
                self._tls.send(self._outgoing[0])
                self._outgoing.popleft()
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._write_when_possible(True)
            return
        except OSError:
            self._outgoing.clear()
        if self._ending:
            self.close()

    def _ask(self, effect: RecordEffect) -> asyncio.Future[RecordReply]:
        """Ask the record for what the dialogue needs."""
        self._asked_at = self._loop.time()
        if isinstance(effect, _LAST):
            self._hold = None
        if isinstance(effect, Claim) and not self._enter(effect.device_name):
            self._asked = self._loop.create_future()
            self._asked.set_result(self._service.backend.refuse(Cause.TOO_MANY_SESSIONS))
        else:
            self._asked = self._service.backend.perform(effect)
        return self._asked

    def _enter(self, device_name: str) -> bool:
        """Count the session for its device; False if that device has too many."""
        entered = self._service.enter(self, device_name)
        if entered:
            self.device_name = device_name
        return entered

    def _answered(self, asked: asyncio.Future[RecordReply]) -> None:
        """Handle the record's answer, or its failure."""
        self._asked = None
        error = asked.exception()
        if self.closed:
            return
        if error is None:
            answer = asked.result()
            if isinstance(answer, Granted | Refused):
                self._note(answer)
            if isinstance(answer, Refused):
                self._loop.call_at(self._asked_at + _REFUSAL_SECONDS, self._refuse, answer)
            else:
                self._advance(answer)
            return
        if isinstance(error, StoreUnavailableError):
            LOG.error("session=%08x event=store-unavailable error=%r", self._identifier, str(error))
        else:
            self._fail(error)
        self.close()

    def _refuse(self, refused: Refused) -> None:
        """Let the dialogue refuse the phone, unless the connection was closed meanwhile."""
        if not self.closed:
            self._advance(refused)

    def _note(self, decision: Granted | Refused) -> None:
        """Write the session's line into the log; one below TLS 1.2 is a warning."""
        what = "granted"
        if isinstance(decision, Granted):
            self._hold, self.proved = decision.hold, decision.proved
        else:
            what = f"refused reason={decision.reason} cause={decision.cause.value!r} problem={decision.problem!r}"
        tls = self._tls.version()
        LOG.log(
            logging.WARNING if tls in _OLD_TLS else logging.INFO,
            "session=%08x event=claim peer=%s device=%r tls=%s decision=%s",
            self._identifier, self.peer, (self.device_name or "")[:64], tls, what,
        )  # fmt: skip
