# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which phones need an LSC, and why: the only place for this rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from capf.model import KeyOrder, KeySpec, counted
from capf.store.schema import CertificateRow

SECONDS_A_DAY = 86400


@dataclass(frozen=True, slots=True)
class WantedLsc:
    """The LSC that a phone should have."""

    keys: tuple[KeySpec, ...]
    issuer_key_id: str
    renew_before_days: int
    force: bool


@cache
def keys(key_order: str, key_size: int, ec_key_size: int) -> tuple[KeySpec, ...]:
    """Return the keys that an operation asks for, in the order to try them."""
    rsa, ec = KeySpec(ec=False, bits=key_size), KeySpec(ec=True, bits=ec_key_size)
    return {KeyOrder.RSA.value: (rsa,), KeyOrder.EC.value: (ec,), KeyOrder.EC_RSA.value: (ec, rsa)}[key_order]


def reason(certificate: CertificateRow | None, wanted: WantedLsc, now: int) -> str | None:
    """Return why the phone needs an LSC, None if its LSC is up to date. ``now``: epoch seconds."""
    if certificate is None:
        return "no LSC"
    if wanted.force:
        return "forced"
    if certificate.not_after <= now:
        return "LSC expired"
    if certificate.not_after <= now + wanted.renew_before_days * SECONDS_A_DAY:
        return f"LSC expires within {counted(wanted.renew_before_days, 'day')}"
    if certificate.issuer_key_id != wanted.issuer_key_id:
        return "LSC of another issuer"
    if KeySpec(certificate.ec, certificate.bits) not in wanted.keys:
        return "LSC with another key"
    return None
