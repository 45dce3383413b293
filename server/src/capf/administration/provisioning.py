# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes to the state directory of a stopped server, for its deployment (R1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from capf.certificates import keystore
from capf.certificates.keystore import Keystore
from capf.node import belonging
from capf.node.node_settings import NodeSettings
from capf.node.state import StateDirectory


def has_state(settings: NodeSettings) -> bool:
    """Return whether the state directory holds a server's state; CapfError if it contains a link."""
    return state_directory(settings).capf_key.exists()


def certificates(settings: NodeSettings) -> dict[str, str]:
    """Return the certificates of API and CAPF, in PEM by the names of their files; CapfError at a link."""
    directory = state_directory(settings)
    paths = (directory.administration_certificate, directory.path / "capf.crt")
    return {path.name: "".join(_texts(path)) for path in paths}


def state_directory(settings: NodeSettings) -> StateDirectory:
    """Return the state directory; CapfError if it contains a link."""
    belonging.refuse_links(settings.state_directory)
    return StateDirectory(settings.state_directory)


def _texts(path: Path) -> list[str]:
    """Return only the certificates of a PEM file as text, without anything else that it contains."""
    return [keystore.pem(certificate).decode() for certificate in keystore.certificates(path)]


def add_manufacturing(settings: NodeSettings, pem: bytes, *, dry_run: bool) -> list[str]:
    """Trust issuers of MICs; return the fingerprints of those that were not trusted before."""
    given: Sequence[x509.Certificate] = keystore.certificates_in(pem, "standard input")
    keys = Keystore(state_directory(settings).path)
    known = keys.manufacturing.all()
    missing = [certificate for certificate in given if certificate not in known]
    if not dry_run:
        keys.manufacturing.add(missing)
    return [keystore.fingerprint(certificate) for certificate in missing]
