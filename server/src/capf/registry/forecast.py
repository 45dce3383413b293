# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forecasts from the record whether a phone's session can succeed: the only place for this rule (P54).

Import, scheduling, the plan of a rollout and the session itself ask here, so that they cannot disagree.
A new rule, such as what a model can do, is one more function of ``_RULES``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from cryptography import x509

from capf.model import (
    AuthenticationMode,
    DamagedError,
    KeyOrder,
    KeySpec,
    Operation,
    Outcome,
    SecurityMode,
    operation_status,
)
from capf.phone_session.verify import UNREADABLE, Trust, dates_problem, lsc_problem
from capf.registry import ctl_file
from capf.registry.context import Context
from capf.registry.earlier_lsc import NO_OPERATION
from capf.registry.transaction import Transaction
from capf.store import certificate_rows
from capf.store.schema import CertificateRow

_LSC_FIRST, _MIC_FIRST = AuthenticationMode.LSC_FIRST.value, AuthenticationMode.MIC_FIRST.value
_BY_CERTIFICATE = frozenset((_LSC_FIRST, _MIC_FIRST))
_BY_STRINGS = f"use {AuthenticationMode.NULL_STRING} or {AuthenticationMode.STRING}"
_TRUST = "trust the issuer of its MIC with ucm.capf.manufacturing_ca"
_USE_RSA = f"use the Key Order {KeyOrder.RSA} or {KeyOrder.EC_RSA}"
_SOFTPHONE = re.compile(r"CSF|TCT|BOT|TAB")
_VERSION_WITH_EC = (1, 1)
_SHORTEST_RSA = 600
"""RSA keys with fewer bits have no room for the SHA-512 signature with which a phone proves that it has the key."""
_NO_EC = operation_status(Operation.INSTALL, Outcome.NO_EC_SUPPORT)


class KnownPhone(NamedTuple):
    """The facts on record about a phone: its MIC, its LSC, its Device Security Mode, and how its last operation ended.

    ``cannot``: the keys that its last operation asked for, if it ended because the phone could not make one;
    ``shown``: the phone is in a session and shows its certificate, which decides unless the mode gives precedence to
    one that it is known to have.
    """

    name: str
    mic: bool
    lsc: CertificateRow | None
    device_security_mode: str = SecurityMode.NON_SECURE.value
    last_status: str = ""
    cannot: tuple[KeySpec, ...] = ()
    shown: bool = False


class PlannedOperation(NamedTuple):
    """The operation that the phone is to carry out."""

    operation: str
    authentication_mode: str
    key_order: str
    keys: tuple[KeySpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a session fails: ``certain`` according to the record, or only probable, because the phone may have other
    certificates.

    ``outcome``: how it ends, None if the phone never connects; ``what``: the reason, the same for all phones that have
    it; ``why``: the reason of this phone; ``todo``: what to do about it.
    """

    certain: bool
    outcome: Outcome | None
    what: str
    why: str
    todo: str

    @property
    def reason(self) -> str:
        """The problem and what to do about it; the same text for all phones with this problem."""
        return f"{self.what}; {self.todo}"


class Facts:
    """What this server accepts, read at most once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.now = tx.now
        self.trust = trust_of(tx.context)
        self.issuers = tx.context.authority.issuer_key_ids

    @cached_property
    def trusts_others(self) -> bool:
        """True if phones may have LSCs that are not on record: a CAPF is trusted that was never this server's."""
        return len(self.issuers) > 1 and not self.issuers <= {
            self._tx.context.authority.key_id,
            *certificate_rows.own_issuers(self._tx.connection),
        }

    @cached_property
    def ctl_has_ec(self) -> bool:
        """False if the CTL file of this server keeps phones from taking EC keys."""
        try:
            last = ctl_file.last(self._tx.connection)
        except DamagedError:
            return True
        return last is None or last.file.signer_version >= _VERSION_WITH_EC


def trust_of(context: Context) -> Trust:
    """Return which certificates of phones a session accepts."""
    policy = context.policy
    return Trust(
        context.authority.lsc_issuers,
        context.authority.mic_issuers,
        allow_expired_mic=policy.allow_expired_mic,
        allow_sha1_mic=policy.allow_sha1_mic,
        require_sudi=policy.require_sudi,
    )


def nothing_is_issued(context: Context, now: int) -> str:
    """Return why CAPF cannot issue certificates; empty if it can."""
    signer = context.authority
    if not signer.usable:
        return "the CAPF key or certificate cannot be used"
    if signer.expired(now):
        return f"the CAPF certificate expired on {signer.certificate.not_valid_after_utc:%Y-%m-%d}"
    return ""


def judge(tx: Transaction, asked: Sequence[tuple[KnownPhone, PlannedOperation]]) -> dict[str, Doubt]:
    """Return the phones that would fail, by device name; none while the CAPF key cannot be used."""
    if not tx.context.authority.usable:
        return {}
    facts, doubts = Facts(tx), dict[str, Doubt]()
    for phone, wanted in asked:
        for rule in _RULES:
            doubt = rule(phone, wanted, facts)
            if doubt is not None:
                doubts[phone.name] = doubt
                break
    return _without_unconfirmed(tx, asked, doubts) if doubts else doubts


def _without_unconfirmed(
    tx: Transaction, asked: Sequence[tuple[KnownPhone, PlannedOperation]], doubts: Mapping[str, Doubt]
) -> dict[str, Doubt]:
    """Be less certain about phones that may have stored a newer LSC whose confirmation was lost."""
    found = dict(doubts)
    held = {phone.name: phone.lsc for phone, _wanted in asked if phone.name in doubts and phone.lsc is not None}
    for name, operation_id in certificate_rows.unconfirmed(tx.connection, list(held), tx.now):
        if found[name].outcome is Outcome.INVALID_LSC and operation_id > held[name].operation_id:
            found[name] = replace(found[name], certain=False)
    return found


def _registration(phone: KnownPhone, wanted: PlannedOperation, _facts: Facts) -> Doubt | None:
    """Nobody can enter the string of a secure phone without an LSC: it cannot register (R10)."""
    if not never_registers(wanted.authentication_mode, phone.device_security_mode, has_lsc=phone.lsc is not None):
        return None
    what = "is a secure device without an LSC, which could never register to receive an authentication string"
    todo = "choose another authentication mode, or make the device Non Secure first"
    return Doubt(True, None, what, what, todo)


def never_registers(authentication_mode: str, device_security_mode: str, *, has_lsc: bool) -> bool:
    """True if nobody can enter the string of a phone: a secure device without an LSC cannot register (R10)."""
    secure = device_security_mode != SecurityMode.NON_SECURE
    return authentication_mode == AuthenticationMode.STRING and secure and not has_lsc


def _proof(phone: KnownPhone, wanted: PlannedOperation, facts: Facts) -> Doubt | None:
    """A phone that authenticates by a certificate needs one that the session accepts (R1, R9)."""
    if wanted.authentication_mode not in _BY_CERTIFICATE:
        return None
    lsc_first = wanted.authentication_mode == _LSC_FIRST
    if lsc_first and phone.lsc is not None:
        doubt = _of_lsc(phone, phone.lsc, facts)
    elif phone.mic and not lsc_first:
        doubt = _of_mic(facts)
    elif phone.shown:
        doubt = None
    else:
        doubt = _of_other(phone, facts)
    return doubt or _of_sudi(facts)


def _of_other(phone: KnownPhone, facts: Facts) -> Doubt | None:
    """Judge a phone that is not known to have the certificate to which its mode gives precedence."""
    if phone.lsc is not None:
        doubt = _of_lsc(phone, phone.lsc, facts)
        return doubt and replace(doubt, certain=False)
    if facts.trusts_others:
        return None
    if phone.mic:
        return _of_mic(facts)
    what = "has neither an LSC nor a MIC on record"
    return Doubt(False, Outcome.INVALID_MIC, what, what, f"register its MIC if it has one, or {_BY_STRINGS}")


def _of_lsc(phone: KnownPhone, lsc: CertificateRow, facts: Facts) -> Doubt | None:
    todo = f"use {_MIC_FIRST}" if phone.mic and facts.trust.mic_issuers else _BY_STRINGS
    problem = dates_problem(lsc.not_before, lsc.not_after, facts.now)
    if problem:
        what = "has an LSC that has expired" if lsc.not_after < facts.now else "has an LSC that is not valid yet"
        return Doubt(True, Outcome.INVALID_LSC, what, f"has an LSC that {problem}", todo)
    problem = _issue_problem(lsc, facts)
    if problem:
        what = "has an LSC that is not accepted, because of its issuer or its digest"
        return Doubt(True, Outcome.INVALID_LSC, what, f"has an LSC that is not accepted: {problem}", todo)
    if not lsc.ec and lsc.bits < _SHORTEST_RSA:
        what = f"has an LSC with a key of {lsc.bits} bits, which is too short for the signature of a session"
        return Doubt(False, Outcome.INVALID_LSC, what, what, todo)
    return None


def _issue_problem(lsc: CertificateRow, facts: Facts) -> str:
    """Return why the issue of an LSC is not accepted: of one that was imported, by the session's own verifier."""
    if lsc.operation_id != NO_OPERATION:
        return "" if lsc.issuer_key_id in facts.issuers else f"its issuer {lsc.issuer!a} is not trusted"
    try:
        return lsc_problem(x509.load_der_x509_certificate(lsc.der), facts.trust, facts.now)
    except UNREADABLE:
        return "it cannot be read"


def _of_mic(facts: Facts) -> Doubt | None:
    if facts.trust.mic_issuers:
        return None
    what = "authenticates by its MIC, and no manufacturing CA is trusted"
    return Doubt(True, Outcome.INVALID_MIC, what, what, f"{_TRUST}, or {_BY_STRINGS}")


def _of_sudi(facts: Facts) -> Doubt | None:
    if not facts.trust.require_sudi or facts.trust.mic_issuers:
        return None
    what = "needs SUDI data with its MIC, and no manufacturing CA is trusted"
    return Doubt(True, Outcome.INVALID_MIC, what, what, f"{_TRUST}, or {_BY_STRINGS}")


def _ec_key(phone: KnownPhone, wanted: PlannedOperation, facts: Facts) -> Doubt | None:
    """An EC key alone needs a phone that can make one, and a CTL file with which it takes one."""
    if wanted.key_order != KeyOrder.EC or wanted.operation != Operation.INSTALL or phone.shown:
        return None
    if _SOFTPHONE.match(phone.name):
        what = "is a softphone, which has no EC keys"
    elif phone.last_status == _NO_EC:
        what = "had no support for EC keys in its last operation"
    elif not facts.ctl_has_ec:
        what = "takes no EC key with the CTL file, which has signer version 1.0"
        todo = f"make the CTL file again with signer_version 1.1, or {_USE_RSA}"
        return Doubt(False, Outcome.NO_EC_SUPPORT, what, what, todo)
    else:
        return None
    return Doubt(False, Outcome.NO_EC_SUPPORT, what, what, _USE_RSA)


def _key_size(phone: KnownPhone, wanted: PlannedOperation, _facts: Facts) -> Doubt | None:
    """A phone that could not make a key in its last operation cannot make the same one now."""
    if wanted.operation != Operation.INSTALL or not wanted.keys or not set(wanted.keys) <= set(phone.cannot):
        return None
    what = f"could not make the key in its last operation, which asked for {' or '.join(map(str, wanted.keys))}"
    todo = "choose another key size or Key Order"
    return Doubt(False, Outcome.KEY_GENERATION_FAILED, what, what, todo)


_RULES: tuple[Callable[[KnownPhone, PlannedOperation, Facts], Doubt | None], ...] = (
    _registration,
    _proof,
    _ec_key,
    _key_size,
)
