# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a session holds in tests that have no record, and a verdict in short."""

from __future__ import annotations

from typing import Any

from capf.model import Outcome
from capf.phone_session.effects import Hold
from capf.phone_session.verify import check_certificate

HELD = Hold(1, 1)


def certificate_fault(*given: Any) -> Outcome | None:
    """Return what is wrong with a phone that authenticates by certificate, None when nothing is."""
    return check_certificate(*given).outcome
