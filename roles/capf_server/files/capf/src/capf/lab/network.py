"""How a simulated phone reaches CAPF and the files server: address families, TLS, HTTP (R12)."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

_FETCH_SECONDS = 20
_CONNECT_SECONDS = 20


class IpMode(StrEnum):
    """A phone's IP addressing mode."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"
    DUAL = "Dual-stack"


@dataclass(frozen=True, slots=True)
class PhoneAddresses:
    """The phone's mode and the address families that it has an address of."""

    mode: IpMode = IpMode.DUAL
    ipv4: bool = True
    ipv6: bool = True


def to_try(phone: PhoneAddresses, capf_ipv4: str | None, capf_ipv6: str | None) -> tuple[str, ...]:
    """Return CAPF's addresses in the order in which the phone tries them, none when it cannot connect.

    Source: the fifteen rows of Table 10-1 (R12). A dual-stack phone prefers IPv6 and falls back to IPv4, also
    where it believes to have an IPv6 address only.
    """
    order = []
    if capf_ipv6 and phone.ipv6 and phone.mode is not IpMode.IPV4:
        order.append(capf_ipv6)
    fallback = phone.mode is IpMode.DUAL and bool(order)
    if capf_ipv4 and phone.mode is not IpMode.IPV6 and (phone.ipv4 or fallback):
        order.append(capf_ipv4)
    return tuple(order)


async def resolve(name: str) -> tuple[str | None, str | None]:
    """Return an IPv4 and an IPv6 address of a node, None where it has none."""
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
    """Return a context that leaves the check of the server to the CTL file, as phones do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_TLS = _tls()


class UntrustedError(OSError):
    """The server's certificate is not in the phone's CTL file with the role CAPF."""


async def connect(
    address: str, port: int, trusted: Sequence[x509.Certificate]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to CAPF; UntrustedError when the CTL file does not list it, OSError when it cannot be reached."""
    async with asyncio.timeout(_CONNECT_SECONDS):
        reader, writer = await asyncio.open_connection(address, port, ssl=_TLS)
    presented = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if presented not in [certificate.public_bytes(Encoding.DER) for certificate in trusted]:
        writer.close()
        raise UntrustedError("the CTL file does not list this CAPF")
    return reader, writer


async def fetch(server: str, name: str) -> bytes | None:
    """Return a file of the files server (HTTP), None when it has none of that name or cannot be reached."""
    return await asyncio.to_thread(_fetch, f"{server}/{name}")


def _fetch(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=_FETCH_SECONDS) as answer:  # noqa: S310 - http, given by the operator
            data: bytes = answer.read()
            return data
    except (OSError, http.client.HTTPException):
        return None
