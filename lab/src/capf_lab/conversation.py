# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carries out one CAPF session of a simulated phone over TLS."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TypeVar

from capf.model import CapfError
from capf.phone_session.wire import Command, Message, Reader, WireError, encode
from capf_lab.dialogue import Authenticate, GenerateStep, ReceiveStep, Reply, Result, SendStep, session
from capf_lab.flash import Flash
from capf_lab.keys import KeyMaker, PrivateKey

T = TypeVar("T")
_READ_BYTES = 8192
_ANSWER_SECONDS = 120.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class KeyGeneration:
    """How phones generate keys: the source, the minimum duration in seconds, and the interval of progress reports."""

    keys: KeyMaker
    seconds: tuple[float, float] = (0.0, 0.0)
    progress_seconds: float = 10.0


class StoppedError(Exception):
    """The phone user chose Stop (R31)."""


@dataclass(slots=True)
class Conversation:
    """One connection to CAPF."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    generation: KeyGeneration
    stop: asyncio.Event
    lose_connection: bool = False
    """Close the connection instead of sending the first message after key generation."""

    async def run(self, flash: Flash, authenticate: Authenticate) -> Result:
        """Run the session to its end; return its result."""
        steps = session(flash, authenticate)
        messages = Reader()
        identifier = 0
        reply: Reply = None
        try:
            step = next(steps)
            while True:
                match step:
                    case ReceiveStep():
                        message = await self._unless_stopped(self._receive(messages))
                        identifier, reply = message.session_id, message
                    case SendStep(message):
                        await self._send(message)
                        reply = None
                    case GenerateStep():
                        reply = await self._unless_stopped(self._generate(step))
                step = steps.send(reply)
        except StopIteration as end:
            result: Result = end.value
            return result
        except StoppedError:
            await self._abort(identifier, messages)
            return Result.STOPPED
        except (OSError, EOFError, WireError, TimeoutError):
            return Result.LOST
        finally:
            await self._close()

    async def _close(self) -> None:
        """Close the connection, and wait a short time for that."""
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), 1.0)

    async def _send(self, message: Message) -> None:
        if self.lose_connection and message.command is Command.KEY_GENERATE_RESPONSE:
            self.writer.transport.abort()
            raise EOFError
        self.writer.write(encode(message))
        await self.writer.drain()

    async def _receive(self, messages: Reader) -> Message:
        async with asyncio.timeout(_ANSWER_SECONDS):
            while (message := messages.next_message()) is None:
                data = await self.reader.read(_READ_BYTES)
                if not data:
                    raise EOFError
                messages.feed(data)
            return message

    async def _generate(self, step: GenerateStep) -> PrivateKey | None:
        """Generate a key in the background, and report progress to CAPF regularly (R8)."""
        low, high = self.generation.seconds
        pause = random.uniform(low, high)  # noqa: S311 - not a secret
        work = asyncio.gather(asyncio.to_thread(self.generation.keys.make, step.spec), asyncio.sleep(pause))
        await self._send(Message(Command.REQUEST_IN_PROGRESS, step.session_id, {}))
        try:
            while True:
                done, _unused = await asyncio.wait({work}, timeout=self.generation.progress_seconds)
                if done:
                    return work.result()[0]
                await self._send(Message(Command.REQUEST_IN_PROGRESS, step.session_id, {}))
        except (ValueError, CapfError):
            return None
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _unless_stopped(self, work: Coroutine[object, object, T]) -> T:
        """Wait for the work; if the user chooses Stop, cancel it and raise StoppedError."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise StoppedError
            return task.result()
        finally:
            stop.cancel()
            task.cancel()
            await asyncio.wait({task, stop})  # only one task may read from the connection

    async def _abort(self, identifier: int, messages: Reader) -> None:
        """Inform CAPF that the user chose Stop, and wait briefly for its answer (R7)."""
        with contextlib.suppress(OSError, EOFError, WireError, TimeoutError):
            await self._send(Message(Command.ABORT_REQUEST, identifier, {}))
            async with asyncio.timeout(_STOP_SECONDS):
                while (await self._receive(messages)).command is not Command.ABORT_RESPONSE:
                    pass
