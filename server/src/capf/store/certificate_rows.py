# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of the certificate table, in bulk where the caller has many. Nothing here commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select, tuple_

from capf.model import CertificateState
from capf.store.schema import CertificateRow, certificates
from capf.store.statements import Query, Statement, batches, rows_of


class ConflictRow(NamedTuple):
    """A certificate that may conflict with a new one."""

    serial_number: str
    public_key_sha256: str
    operation_id: int
    device_name: str
    state: str


_CERTIFICATE = Query(
    CertificateRow._make, select(certificates).where(certificates.c.serial_number == bindparam("serial"))
)
_ISSUED = certificates.c.state == CertificateState.ISSUED.value
_IN_THE_WAY = Query(
    ConflictRow._make,
    select(*(certificates.c[name] for name in ConflictRow._fields)).where(
        or_(
            certificates.c.serial_number == bindparam("serial"),
            certificates.c.public_key_sha256 == bindparam("key"),
            and_(certificates.c.device_name == bindparam("name"), _ISSUED),
        )
    ),
)
_ADD = Statement(certificates.insert())
_ACTIVATE = Statement(
    certificates.update().where(
        certificates.c.serial_number == bindparam("serial"),
        certificates.c.operation_id == bindparam("identifier"),
        or_(*(certificates.c.state == s.value for s in (CertificateState.ISSUED, CertificateState.ABANDONED))),
    )
)
_THIS_HOLDER = certificates.c.device_name == bindparam("name")
_SET_STATE = Statement(certificates.update().where(_THIS_HOLDER, certificates.c.state == bindparam("before")))
_REPLACE = Statement(
    certificates.update()
    .where(
        _THIS_HOLDER,
        certificates.c.serial_number != bindparam("serial"),
        or_(certificates.c.state == CertificateState.ACTIVE.value, _ISSUED),
    )
    .values(state=case((_ISSUED, CertificateState.ABANDONED.value), else_=CertificateState.SUPERSEDED.value))
)


def by_serial_number(connection: Connection, serial_number: str) -> CertificateRow | None:
    """Return the certificate with this serial number (hex)."""
    return _CERTIFICATE.first(connection, {"serial": serial_number})


def in_the_way(
    connection: Connection, serial_number: str, public_key_sha256: str, device_name: str
) -> Sequence[ConflictRow]:
    """Return the certificates that may conflict with a new one.

    They have its serial number or its public key, or were issued to its phone and never confirmed.
    """
    return _IN_THE_WAY.all(connection, {"serial": serial_number, "key": public_key_sha256, "name": device_name})


def add(connection: Connection, **values: Any) -> None:
    """Insert one certificate."""
    _ADD.run(connection, values)


def activate(connection: Connection, device_name: str, serial_number: str, operation_id: int, at: int) -> None:
    """Activate the certificate of this operation that a phone has stored.

    Of the phone's other certificates, the active one is superseded, and the issued ones are abandoned.
    """
    _REPLACE.run(connection, {"name": device_name, "serial": serial_number, "changed_at": at})
    given = {
        "serial": serial_number, "identifier": operation_id, "state": CertificateState.ACTIVE.value, "changed_at": at,
    }  # fmt: skip
    _ACTIVATE.run(connection, given)


def set_state(
    connection: Connection, device_name: str, before: CertificateState, after: CertificateState, at: int
) -> None:
    """Change the state of a phone's certificates that are in ``before``."""
    given = {"name": device_name, "before": before.value, "state": after.value, "changed_at": at}
    _SET_STATE.run(connection, given)


def active(connection: Connection, names: Sequence[str]) -> dict[str, CertificateRow]:
    """Return the active certificate of each phone among ``names`` that has one."""
    found: dict[str, CertificateRow] = {}
    for batch in batches(names):
        query = select(certificates).where(
            certificates.c.state == CertificateState.ACTIVE, certificates.c.device_name.in_(batch)
        )
        found.update((row.device_name, row) for row in rows_of(connection, CertificateRow._make, query))
    return found


def count_active(connection: Connection, names: Sequence[str]) -> int:
    """Return the number of phones among ``names`` that have an active certificate."""
    is_active = certificates.c.state == CertificateState.ACTIVE
    return sum(
        connection.execute(
            select(func.count()).select_from(certificates).where(is_active, certificates.c.device_name.in_(batch))
        ).scalar_one()
        for batch in batches(names)
    )


def count_all_active(connection: Connection) -> int:
    """Return the number of phones that have an active certificate."""
    is_active = certificates.c.state == CertificateState.ACTIVE
    return connection.execute(select(func.count()).select_from(certificates).where(is_active)).scalar_one()


def phones_with_any(connection: Connection, names: Sequence[str]) -> set[str]:
    """Return the phones among ``names`` that have any recorded certificate, active or not."""
    found: set[str] = set()
    for batch in batches(names):
        query = select(certificates.c.device_name).where(certificates.c.device_name.in_(batch)).distinct()
        found.update(connection.execute(query).scalars())
    return found


def by_serial_numbers(connection: Connection, serial_numbers: Sequence[str]) -> dict[str, CertificateRow]:
    """Return the recorded certificates that have one of these serial numbers."""
    found: dict[str, CertificateRow] = {}
    for batch in batches(serial_numbers):
        query = select(certificates).where(certificates.c.serial_number.in_(batch))
        found.update((row.serial_number, row) for row in rows_of(connection, CertificateRow._make, query))
    return found


def add_many(connection: Connection, added: Sequence[CertificateRow]) -> None:
    """Insert certificates."""
    if added:
        connection.execute(certificates.insert(), [row._asdict() for row in added])


def active_by_issuer(connection: Connection) -> dict[str, int]:
    """Return the number of active certificates by the issuer's key identifier."""
    query = (
        select(certificates.c.issuer_key_id, func.count().label("number"))
        .where(certificates.c.state == CertificateState.ACTIVE)
        .group_by(certificates.c.issuer_key_id)
    )
    return {row.issuer_key_id: row.number for row in connection.execute(query)}


class EndingRow(NamedTuple):
    """An active certificate that expires; ``key`` is its position among the events."""

    key: int
    device_name: str
    serial_number: str
    not_after: int
    issuer: str


def ending(connection: Connection, after: tuple[int, str], until: int, ahead: int, limit: int) -> list[EndingRow]:
    """Return the first active certificates that end before ``until``, after (``key``, serial number) ``after``.

    A row's ``key`` is its certificate's end; for one that became active less than ``ahead`` seconds before its end, it
    is that much after it became active. So it is never below one that could be seen before.
    """
    known_at = certificates.c.changed_at + ahead
    key = case((certificates.c.not_after > known_at, certificates.c.not_after), else_=known_at)
    query = select(
        key.label("key"),
        *(certificates.c[name] for name in EndingRow._fields[1:]),
    ).where(
        certificates.c.state == CertificateState.ACTIVE,
        key < until,
        tuple_(key, certificates.c.serial_number) > tuple_(*after),
    )
    return rows_of(connection, EndingRow._make, query.order_by(key, certificates.c.serial_number).limit(limit))


def unconfirmed(connection: Connection, names: Sequence[str], now: int) -> Iterator[tuple[str, int]]:
    """Yield the certificates in date that phones among ``names`` may have stored without a confirmation: the device
    name and the operation."""
    may_be_there = certificates.c.state.in_((CertificateState.ISSUED, CertificateState.ABANDONED))
    for batch in batches(names):
        query = select(certificates.c.device_name, certificates.c.operation_id).where(
            may_be_there, certificates.c.not_after >= now, certificates.c.device_name.in_(batch)
        )
        yield from ((row.device_name, row.operation_id) for row in connection.execute(query))


def own_issuers(connection: Connection) -> set[str]:
    """Return the key ids of the CAPF certificates with which this server has issued LSCs."""
    query = select(certificates.c.issuer_key_id).where(certificates.c.operation_id != 0).distinct()
    return set(connection.execute(query).scalars())
