# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A session's hold in tests without a record, and a short form of verdicts."""

from __future__ import annotations

from typing import Any

from capf.model import Outcome
from capf.phone_session.effects import Hold
from capf.phone_session.verify import check_certificate

HELD = Hold(1, 1)


def certificate_fault(*given: Any) -> Outcome | None:
    """Return the problem of a phone that authenticates by certificate, None if there is none."""
    return check_certificate(*given).outcome
