# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statements of an import: what is on record of many certificates, and adding many."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from capf.store.rows import batches
from capf.store.schema import CertificateRow, certificates
from capf.store.statements import rows_of


def phones_with_record(connection: Connection, names: Sequence[str]) -> set[str]:
    """Return the phones among ``names`` of which any certificate, active or not, is on record."""
    found: set[str] = set()
    for batch in batches(names):
        query = select(certificates.c.device_name).where(certificates.c.device_name.in_(batch)).distinct()
        found.update(connection.execute(query).scalars())
    return found


def certificates_of(connection: Connection, serial_numbers: Sequence[str]) -> dict[str, CertificateRow]:
    """Return the certificates on record that have one of these serial numbers."""
    found: dict[str, CertificateRow] = {}
    for batch in batches(serial_numbers):
        query = select(certificates).where(certificates.c.serial_number.in_(batch))
        found.update((row.serial_number, row) for row in rows_of(connection, CertificateRow._make, query))
    return found


def add_certificates(connection: Connection, added: Sequence[CertificateRow]) -> None:
    """Insert certificates."""
    if added:
        connection.execute(certificates.insert(), [row._asdict() for row in added])
