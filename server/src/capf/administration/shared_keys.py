# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks keys from another server before they replace those of this server (R20)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm

from capf.administration.backup import staging
from capf.certificates import keystore
from capf.certificates.keystore import Keystore
from capf.certificates.secretbox import SecretBox
from capf.cluster import sharing
from capf.model import CapfError, words_of
from capf.node import belonging, state

_FAULTS = (CapfError, OSError, ValueError, TypeError, UnsupportedAlgorithm)


def check(wanted: Mapping[str, bytes], directory: Path) -> None:
    """Raise CapfError if shared files for a state directory (``sharing``) are damaged or do not belong together."""
    with staging.directory_in(staging.nearest(directory)) as work:
        sharing.take(work, wanted)
        faults = [f"{name}: {fault}" for name, look in _checks(work).items() if (fault := _fault(work, look))]
    if faults:
        raise CapfError(f"the keys are not accepted: {'; '.join(faults)}")


def take(directory: Path, wanted: Mapping[str, bytes], *, dry_run: bool) -> list[str]:
    """Store these files in a state directory; return the names of those that change. CapfError as for ``check``, or at
    a link."""
    belonging.refuse_links(directory)
    check(wanted, directory)
    return sharing.take(directory, wanted, dry_run=dry_run)


def _checks(work: Path) -> dict[str, Callable[[], object]]:
    held = state.StateDirectory(work)
    paths = [path for folder in ("trusted", "manufacturing") for path in sorted((work / folder).glob("*.pem"))]
    return {
        "strings.key": partial(state.strings_box, held),
        "capf.key": Keystore(work).issuing,
        **{f"{path.parent.name}/{path.name}": partial(keystore.certificates, path) for path in paths},
        **{f"tokens/{path.name}": partial(_open, held, path) for path in sorted(held.tokens.glob("*.key"))},
    }


def _fault(work: Path, look: Callable[[], object]) -> str | None:
    try:
        look()
    except _FAULTS as error:
        own = isinstance(error, CapfError | OSError)
        return (words_of(error) if own else "it cannot be used").replace(f"{work}/", "")
    return None


def _open(held: state.StateDirectory, path: Path) -> None:
    """Raise CapfError if ``strings.key`` does not decrypt a token's key; its file is named after its certificate."""
    secrets: SecretBox = state.strings_box(held)
    try:
        secrets.decrypt(path.read_bytes(), path.stem)
    except CapfError:
        raise CapfError("strings.key does not decrypt it") from None
