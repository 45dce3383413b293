# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renewing the CAPF certificate in the safe order, and trust in the LSCs of earlier ones (R3).

The next certificate is *prepared* first, so that the CTL file can list it; only then can it be made *active*. Phones
verify a new CTL file with a security token that they know: renewing CAPF and the tokens at the same time would lock
out every phone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from cryptography import x509
from sqlalchemy import Connection

from capf.certificates import authority, ctl
from capf.certificates.keystore import Keystore, fingerprint, pem
from capf.model import ConflictError, Fault, FurtherNodeError, InvalidRequestError, Problem, counted
from capf.registry import confirmation, moment, need, tokens
from capf.registry.changes import KeystoreChange
from capf.registry.context import Context
from capf.registry.transaction import Transaction
from capf.store import audit, certificate_rows, named_values, rollout_rows

_DISTRUST = "distrust CAPF certificate"
_TOKENS = "tokens when the next CAPF certificate was prepared"
_UNKNOWN_TOKENS = "the security tokens that phones knew when the next CAPF certificate was prepared cannot be read"
NEW = "a new certificate"


@dataclass(frozen=True, slots=True)
class Renewal:
    """What an administrator wants: ``prepared``, ``active`` or ``discarded``.

    If ``renew_before_days`` or ``replaces`` is given, a certificate is prepared only if the current one expires within
    this time and has this common name.
    """

    state: str
    renew_before_days: int | None = None
    replaces: str | None = None
    force: bool = False


def show(certificate: x509.Certificate, active_lscs: int = 0) -> dict[str, Any]:
    """Return a CAPF certificate as the API shows it."""
    return {
        "common_name": authority.common_name(certificate),
        "subject": certificate.subject.rfc4514_string(),
        "serial_number": f"{certificate.serial_number:032x}",
        "not_before": moment.show(int(certificate.not_valid_before_utc.timestamp())),
        "not_after": moment.show(int(certificate.not_valid_after_utc.timestamp())),
        "sha256": fingerprint(certificate),
        "pem": pem(certificate).decode(),
        "file_names": list(authority.file_names(certificate)),
        "active_lscs": active_lscs,
    }


def overview(tx: Transaction) -> dict[str, Any]:
    """Return the current, next and earlier certificates, each with how many active LSCs it has issued."""
    signer = tx.context.authority
    active = certificate_rows.active_by_issuer(tx.connection)
    current, *earlier = [show(item, active.get(authority.key_id(item), 0)) for item in signer.lsc_issuers]
    following = None if signer.following is None else show(signer.following)
    return {"current": current, "next": following, "trusted": earlier}


class _Names(NamedTuple):
    """The common names of the current, the next and the earlier certificates; a plan shows them before and after."""

    current: str
    next: str
    trusted: list[str]

    def plan(
        self, carry_out: Callable[[], None] | None = None, warnings: Sequence[str] = (), **changed: str | list[str]
    ) -> KeystoreChange:
        """Return a plan that changes these names."""
        return KeystoreChange(self._asdict(), {**self._asdict(), **changed}, carry_out, list(warnings))


def _names(context: Context) -> _Names:
    signer = context.authority
    return _Names(
        authority.common_name(signer.certificate),
        "none" if signer.following is None else authority.common_name(signer.following),
        sorted(map(authority.common_name, signer.lsc_issuers[1:])),
    )


def renew(tx: Transaction, keys: Keystore, ctl_file: ctl.CtlFile | None, wanted: Renewal) -> KeystoreChange:
    """Decide what ``wanted`` changes and record it; ConflictError if the safe order forbids it."""
    if not tx.context.first_node:
        raise FurtherNodeError("the CAPF certificate is renewed")
    decide = {"prepared": _prepare, "active": _activate, "discarded": _discard}[wanted.state]
    plan = decide(tx, keys, ctl_file, wanted)
    if plan.changed:
        action = f"CAPF certificate {wanted.state}"
        tx.audit(action, before=plan.before, after=plan.after, force=wanted.force)
    return plan


def _prepare(tx: Transaction, keys: Keystore, ctl_file: ctl.CtlFile | None, wanted: Renewal) -> KeystoreChange:
    before, signer = _names(tx.context), tx.context.authority
    left = signer.certificate.not_valid_after_utc.timestamp() - tx.now
    late = wanted.renew_before_days is None or left <= wanted.renew_before_days * need.SECONDS_A_DAY
    meant = wanted.replaces in (None, before.current)
    if keys.has_next or not late or not meant:
        return before.plan()
    if not wanted.force:
        _refuse_during_rollouts(tx)
        _refuse_without_signer(tx, ctl_file)
    named_values.put(tx.connection, _TOKENS, json.dumps(_tokens(ctl_file)))
    return before.plan(partial(keys.prepare, tx.now), next=NEW)


def _refuse_during_rollouts(tx: Transaction) -> None:
    """Raise ConflictError while a rollout is running: its phones could not be renewed afterwards (P55)."""
    every = rollout_rows.every(tx.connection)
    running = sorted(
        {row.name for row in every if row.state == rollout_rows.RUNNING and (row.ends_at or tx.now) >= tx.now}
    )
    if running:
        raise ConflictError(
            f"rollouts are running: {', '.join(running)}; renew the CAPF certificate after their end, or abort them"
        )


def _refuse_without_signer(tx: Transaction, ctl_file: ctl.CtlFile | None) -> None:
    """Raise ConflictError if no CTL file could be made that lists the next certificate (P55)."""
    known = _tokens(ctl_file)
    own = tokens.current(tx.connection) if known else []
    signers = [token for token in own if fingerprint(token.certificate) in known]
    if own and not signers:
        raise ConflictError(tokens.TWO_STEPS)
    if signers:
        tokens.load_key(tx.context, signers[0])


def _tokens(ctl_file: ctl.CtlFile | None) -> list[str]:
    return [] if ctl_file is None else [fingerprint(item) for item in ctl_file.certificates(ctl.Role.SAST)]


def _activate(tx: Transaction, keys: Keystore, ctl_file: ctl.CtlFile | None, wanted: Renewal) -> KeystoreChange:
    before, following = _names(tx.context), tx.context.authority.following
    if following is None:
        return before.plan()
    if not wanted.force:
        _refuse_during_rollouts(tx)
    warnings = []
    fault = _ctl_fault(tx.connection, ctl_file, following)
    if fault is not None and ctl_file is not None and not wanted.force:
        raise ConflictError(fault)
    if fault is not None:
        warnings.append(fault)
    trusted = sorted([*before.trusted, before.current])
    return before.plan(keys.activate, warnings, current=before.next, next="none", trusted=trusted)


def _ctl_fault(connection: Connection, ctl_file: ctl.CtlFile | None, following: x509.Certificate) -> str | None:
    """Return why phones would not trust the next certificate, None if they will."""
    name = authority.common_name(following)
    if ctl_file is None:
        return f"this node has no CTL file: phones have to learn of {name} in another way"
    if following not in ctl_file.certificates(ctl.Role.CAPF):
        return f"the CTL file does not list {name}: make and distribute it first, and reset the phones"
    known = _known_tokens(named_values.get(connection, _TOKENS))
    if known is None:
        return f"{_UNKNOWN_TOKENS}: make sure that the CTL file is signed by one of them"
    if known and fingerprint(ctl_file.signer()) not in known:
        return (
            "the CTL file is signed by a security token that phones do not know yet: never change CAPF and the tokens "
            "at the same time; sign it with the earlier token"
        )
    return None


def _known_tokens(text: str | None) -> list[str] | None:
    """Return the recorded fingerprints, None if they cannot be read."""
    try:
        kept = json.loads(text or "[]")
    except ValueError:
        return None
    return kept if isinstance(kept, list) else None


def faults(texts: Mapping[str, str]) -> list[Fault]:
    """Return the faults of the data recorded when the next certificate was prepared."""
    if _known_tokens(texts.get(_TOKENS)) is not None:
        return []
    todo = "discard the next CAPF certificate with ucm.capf.capf_certificate and prepare it again"
    return [Fault(f"table settings, row {_TOKENS!r}", _UNKNOWN_TOKENS, todo)]


def _discard(tx: Transaction, keys: Keystore, _ctl_file: ctl.CtlFile | None, _wanted: Renewal) -> KeystoreChange:
    return _names(tx.context).plan(keys.discard if keys.has_next else None, next="none")


def trust(tx: Transaction, keys: Keystore, given: Sequence[x509.Certificate]) -> KeystoreChange:
    """Trust LSCs of additional CAPF certificates, for phones from another cluster or an earlier CAPF."""
    known = tx.context.authority.lsc_issuers
    added = [item for item in dict.fromkeys(given) if item not in known]
    before = _names(tx.context)
    trusted = sorted([*before.trusted, *map(authority.common_name, added)])
    if added:
        _record_trust(tx, "trust CAPF certificate", added)
    return before.plan(partial(keys.earlier.add, added) if added else None, trusted=trusted)


@dataclass(frozen=True, slots=True)
class Revocation:
    """Earlier CAPF certificates (common names) whose LSCs are no longer trusted, even active ones with ``force``;
    ``confirm``: the number of phones with active LSCs of theirs, required if there are many."""

    names: Sequence[str]
    force: bool = False
    confirm: int | None = None


def distrust(tx: Transaction, keys: Keystore, wanted: Revocation) -> KeystoreChange:
    """Stop trusting LSCs of earlier CAPF certificates.

    ConflictError while they have active LSCs, unless ``force``; InvalidRequestError for the current one, for one that
    was never trusted, and if ``confirm`` is required and wrong.
    """
    names = wanted.names
    earlier = tx.context.authority.lsc_issuers[1:]
    before = _names(tx.context)
    if before.current in names:
        message = f"{before.current} is the current CAPF certificate; renew it first, or name earlier ones only"
        raise InvalidRequestError([Problem("names", before.current, message)])
    gone = [item for item in earlier if authority.common_name(item) in names]
    _refuse_unknown(tx, names, earlier)
    active = certificate_rows.active_by_issuer(tx.connection)
    warnings = []
    for item in gone:
        count = active.get(authority.key_id(item), 0)
        if count:
            warnings.append(f"{counted(count, 'phone')} with active LSCs of {authority.common_name(item)}")
    if warnings and not wanted.force:
        raise ConflictError(f"{'; '.join(warnings)}: renew them first")
    revoked = sum(active.get(authority.key_id(item), 0) for item in gone)
    confirmation.require(tx, revoked, wanted.confirm, "revoke the LSCs of {}")
    if gone:
        _record_trust(tx, _DISTRUST, gone)
    kept = sorted(authority.common_name(item) for item in earlier if item not in gone)
    return before.plan(partial(keys.earlier.remove, gone) if gone else None, warnings, trusted=kept)


def _refuse_unknown(tx: Transaction, names: Sequence[str], earlier: Sequence[x509.Certificate]) -> None:
    """Raise InvalidRequestError for names other than those of CAPF certificates whose LSCs are or once were trusted."""
    trusted = sorted(map(authority.common_name, earlier))
    known = {*trusted, *_distrusted_before(tx.connection)}
    todo = f"give names of trusted ones ({', '.join(trusted)})" if trusted else "none is trusted"
    problems = [
        Problem(f"names[{index}]", name, f"{name!r} is not the common name of an earlier CAPF certificate; {todo}")
        for index, name in enumerate(names)
        if name not in known
    ]
    if problems:
        raise InvalidRequestError(problems)


def _distrusted_before(connection: Connection) -> list[str]:
    """Return the common names of the certificates that the audit says are no longer trusted."""
    return [str(json.loads(detail)["common_name"]) for detail in audit.details(connection, _DISTRUST)]


def _record_trust(tx: Transaction, action: str, changed: Sequence[x509.Certificate]) -> None:
    for item in changed:
        tx.audit(action, common_name=authority.common_name(item), sha256=fingerprint(item))
