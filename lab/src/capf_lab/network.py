# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a simulated phone reaches CAPF and the files servers: address families, TLS, HTTP, then TFTP (R12)."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from capf_lab import tftp

_FETCH_SECONDS = 20
_LARGEST_FILE = 1_000_000
_OK = 200
_CONNECT_SECONDS = 60


class IpMode(StrEnum):
    """A phone's IP addressing mode."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"
    DUAL = "Dual-stack"


@dataclass(frozen=True, slots=True)
class PhoneAddresses:
    """The phone's mode, the families of its addresses, and whether it fetches files by HTTP."""

    mode: IpMode = IpMode.DUAL
    ipv4: bool = True
    ipv6: bool = True
    http: bool = True


BOTH, ONLY_IPV4, ONLY_IPV6 = PhoneAddresses(), PhoneAddresses(ipv6=False), PhoneAddresses(ipv4=False)
AVAILABLE = {"both": BOTH, "ipv4": ONLY_IPV4, "ipv6": ONLY_IPV6}
"""The addresses of a phone by their name in the lab's options and lists."""
WITHOUT_HTTP = ("7902", "7905", "7912", "7940", "7960")
"""Models that fetch their files only by TFTP."""


def to_try(phone: PhoneAddresses, capf_ipv4: str | None, capf_ipv6: str | None) -> tuple[str, ...]:
    """Return CAPF's addresses in the order in which the phone tries them; none if it cannot connect.

    Source: the fifteen rows of Table 10-1 (docs/phone-files.md, R12). A dual-stack phone prefers IPv6 and falls back
    to IPv4, even if it believes that it has only an IPv6 address.
    """
    order = []
    if capf_ipv6 and phone.ipv6 and phone.mode is not IpMode.IPV4:
        order.append(capf_ipv6)
    fallback = phone.mode is IpMode.DUAL and bool(order)
    if capf_ipv4 and phone.mode is not IpMode.IPV6 and (phone.ipv4 or fallback):
        order.append(capf_ipv4)
    return tuple(order)


async def resolve(name: str) -> tuple[str | None, str | None]:
    """Return an IPv4 and an IPv6 address of a node, None for each that it does not have."""
    try:
        address = ipaddress.ip_address(name)
        return (name, None) if isinstance(address, ipaddress.IPv4Address) else (None, name)
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return None, None
    ipv4 = next((str(item[4][0]) for item in found if item[0] == socket.AF_INET), None)
    ipv6 = next((str(item[4][0]) for item in found if item[0] == socket.AF_INET6), None)
    return ipv4, ipv6


def _tls() -> ssl.SSLContext:
    """Return a context that does not verify the server: like phones, the lab checks it against the CTL file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_TLS = _tls()


class UntrustedError(OSError):
    """The phone's CTL file does not list the server's certificate with the role CAPF."""


async def connect(
    address: str, port: int, trusted: Sequence[x509.Certificate]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to CAPF; UntrustedError if the CTL file does not list it, OSError if it cannot be reached."""
    async with asyncio.timeout(_CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(address, port, ssl=_TLS)
    presented = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if presented not in [certificate.public_bytes(Encoding.DER) for certificate in trusted]:
        writer.close()
        raise UntrustedError("the CTL file does not list this CAPF")
    return reader, writer


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that a phone fetched, and the protocol."""

    data: bytes
    by: str


@dataclass(frozen=True, slots=True)
class FilesServers:
    """The servers of the phones' files: HTTP first; if that fails, TFTP if there is a server.

    Without a TFTP server, phones that do not support HTTP use it anyway, because a lab needs files.
    """

    http: tuple[str, int]
    tftp: tuple[str, int] | None = None

    async def fetch(self, phone: PhoneAddresses, name: str) -> Fetched | None:
        """Return a file, None if it does not exist or no server can be reached from the phone's addresses."""
        host, port = self.http
        by_http = phone.http or self.tftp is None
        for address in to_try(phone, *await resolve(host)) if by_http else ():
            data = await asyncio.to_thread(_get, address, port, name)
            if data is not None:
                return Fetched(data, "HTTP")
        if self.tftp is None:
            return None
        host, port = self.tftp
        for address in to_try(phone, *await resolve(host)):
            data = await tftp.fetch(address, port, name, _LARGEST_FILE)
            if data is not None:
                return Fetched(data, "TFTP")
        return None


def _get(address: str, port: int, name: str) -> bytes | None:
    """Return a file by HTTP, None if it does not exist."""
    connection = http.client.HTTPConnection(address, port, timeout=_FETCH_SECONDS)
    try:
        connection.request("GET", f"/{name}")
        answer = connection.getresponse()
        data = answer.read(_LARGEST_FILE + 1)
        return data if answer.status == _OK and len(data) <= _LARGEST_FILE else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
