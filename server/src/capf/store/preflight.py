# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The statement of the checklist before certificate operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, select

from capf.model import CertificateState
from capf.store.schema import certificates
from capf.store.schema import phones as table


@dataclass(frozen=True, slots=True)
class Phone:
    """What the checklist looks at of one phone; ``lsc_expires`` is None where it has no LSC."""

    name: str
    authentication_mode: str
    security_mode: str
    lsc_expires: int | None


def phones(connection: Connection, names: Sequence[str] | None) -> list[Phone]:
    """Return the registered phones among ``names``, or all of them, by name."""
    active = and_(certificates.c.device_name == table.c.device_name, certificates.c.state == CertificateState.ACTIVE)
    query = (
        select(
            table.c.device_name,
            table.c.authentication_mode,
            table.c.device_security_mode,
            certificates.c.not_after,
        )
        .select_from(table.outerjoin(certificates, active))
        .order_by(table.c.device_name)
    )
    wanted = None if names is None else set(names)
    rows = connection.execute(query)
    return [Phone(*row) for row in rows if wanted is None or row[0] in wanted]
