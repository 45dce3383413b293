# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The unit for which limits are counted: an IPv4 address, or an IPv6 network of 64 bits.

A host can use any address of its IPv6 network, so a limit for a single address would have no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_NETWORK_BITS = 64


@lru_cache(maxsize=4096)
def counted_as(address: str) -> str:
    """Return the name under which limits count an IP address: ``192.0.2.1``, or ``2001:db8::/64``.

    An IPv4 address that is written as IPv6 (``::ffff:192.0.2.1``) counts as itself; so does a text that is not an
    address, such as the path of a local socket.
    """
    parsed = _parsed(address)
    if parsed is None:
        return address
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, _NETWORK_BITS), strict=False))
    return str(parsed)


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Return whether an address is in one of these networks; each is an address or a network, IPv4 or IPv6."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in ip_network(network, strict=False) for network in networks)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
