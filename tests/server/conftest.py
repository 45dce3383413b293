"""The record behind the sessions, in this process, with a clock of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capf.authority import Authority, make_capf_certificate
from capf.registry.context import Context
from capf.secretbox import KEY_BYTES, SecretBox
from capf.store.engine import Store
from support.record import NOW, Record


@pytest.fixture(scope="session")
def signer() -> tuple[Any, Any]:
    """A CAPF key and certificate."""
    return make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF")


@pytest.fixture
def record(tmp_path: Path, signer: tuple[Any, Any]) -> Iterator[Record]:
    """An empty record on SQLite."""
    times = [NOW]
    context = Context(
        authority=Authority(*signer, os.urandom),
        secrets=SecretBox(os.urandom(KEY_BYTES)),
        clock=lambda: times[0],
        first_node=True,
        trace_directory=tmp_path / "trace",
    )
    store = Store(f"sqlite:///{tmp_path}/capf.db")
    yield Record(store, context, times)
    store.close()
