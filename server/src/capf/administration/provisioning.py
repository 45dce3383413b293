# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes to the state directory of a stopped server, for its deployment (R1)."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509

from capf.certificates import keystore
from capf.certificates.keystore import Keystore


def add_manufacturing(keys: Keystore, given: Sequence[x509.Certificate], *, dry_run: bool) -> list[str]:
    """Trust issuers of MICs; return the fingerprints of those that were not trusted before."""
    known = keys.manufacturing.all()
    missing = [certificate for certificate in given if certificate not in known]
    if not dry_run:
        keys.manufacturing.add(missing)
    return [keystore.fingerprint(certificate) for certificate in missing]
