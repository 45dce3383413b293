# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the certificate table says of the issuers."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from capf.model import CertificateState
from capf.store.schema import certificates


def active_by_issuer(connection: Connection) -> dict[str, int]:
    """Return how many active certificates each issuer (by key identifier) has made."""
    query = (
        select(certificates.c.issuer_key_id, func.count().label("number"))
        .where(certificates.c.state == CertificateState.ACTIVE)
        .group_by(certificates.c.issuer_key_id)
    )
    return {row.issuer_key_id: row.number for row in connection.execute(query)}
