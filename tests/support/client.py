# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A phone's side of one session, step by step, under the control of a test."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from capf.phone_session.wire import Command, Message, Reader, Tag, encode, string, unpack_certificates
from capf_lab.credentials import auth_response
from capf_lab.flash import Flash

_SECONDS = 20


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def new_public_key() -> bytes:
    """Return a new EC P-256 public key in the form that phones send."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class Client:
    """One connection to CAPF; every method is one step of the session."""

    def __init__(
        self, port: int, name: str, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, source: str = ""
    ) -> None:
        """Connect, optionally from a given address of this host, and receive the server's first message."""
        self._name = name
        self._reader = Reader()
        plain = socket.create_connection((host, port), timeout=_SECONDS, source_address=(source, 0))
        self._connection = (tls or _tls()).wrap_socket(plain)
        self.session_id = self.receive().session_id

    def receive(self) -> Message:
        """Return the server's next message; EOFError if it closes the connection."""
        while (message := self._reader.next_message()) is None:
            data = self._connection.recv(8192)
            if not data:
                raise EOFError
            self._reader.feed(data)
        return message

    def receive_record(self) -> bytes:
        """Return the content of the next TLS record."""
        return self._connection.recv(65536)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that are not a message."""
        self._connection.sendall(data)

    def send(self, command: Command, elements: dict[int, bytes]) -> None:
        """Send a message."""
        self._connection.sendall(encode(Message(command, self.session_id, elements)))

    def authenticate(self, password: str = "", version: int = 3) -> Message:
        """Send the phone's claim; return the server's answer."""
        self.say_hello(password, version)
        return self.receive()

    def say_hello(self, password: str = "", version: int = 3) -> None:
        """Send the phone's claim."""
        who = {Tag.VERSION: bytes((version,)), Tag.DEVICE_NAME: string(self._name), Tag.PASSWORD: string(password)}
        self.send(Command.AUTH_RESPONSE, {int(tag): value for tag, value in who.items()})

    def prove(
        self, flash: Flash, mode: int, name: str | None = None, changes: Mapping[str, bytes | None] | None = None
    ) -> Message:
        """Authenticate by a certificate of a phone's flash; ``changes`` replace elements, None removes one."""
        message = auth_response(name or self._name, self.session_id, flash, mode, "", 3)
        elements = dict(message.elements)
        for tag, value in (changes or {}).items():
            elements.pop(Tag[tag], None)
            if value is not None:
                elements[Tag[tag]] = value
        self.send(Command.AUTH_RESPONSE, elements)
        return self.receive()

    def send_key(self, key: bytes | None = None) -> bytes:
        """Send a public key; return the certificate for it."""
        self.send(Command.KEY_GENERATE_RESPONSE, {Tag.PUBLIC_KEY: key or new_public_key()})
        answer = self.receive()
        assert answer.command is Command.STORE_CERTIFICATE_REQUEST, answer
        ((_kind, der),) = unpack_certificates(answer.elements[Tag.CERTIFICATE])
        return der

    def confirm(self, reason: int = 1) -> Message:
        """Report whether the certificate was stored; return the server's answer."""
        self.send(Command.STORE_CERTIFICATE_RESPONSE, {Tag.REASON: bytes((reason,))})
        return self.receive()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
