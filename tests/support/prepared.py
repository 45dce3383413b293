# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""State directories as ``capf init`` and a first start leave them, made a few times per test process and copied."""

from __future__ import annotations

import atexit
import itertools
import json
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path

from capf.administration.new_node import NewNode, initialise
from capf.node import configuration, record_context, state
from capf.registry import tokens
from capf.registry.transaction import Transaction
from capf.store.engine import Store
from support.migrated import put_database

NAMES = ("127.0.0.1", "localhost")
_DIFFERENT = itertools.cycle(range(4))
"""Nodes that are made one after the other have different keys."""


def put_state(directory: Path, administrator: str, password: str, *, first_node: bool) -> None:
    """Put the state of a new node with a database of its own into a directory; only a first node has tokens."""
    made = _made(next(_DIFFERENT), administrator, password, first_node)
    shutil.copytree(made, directory, dirs_exist_ok=True)


@cache
def _made(_number: int, administrator: str, password: str, first_node: bool) -> Path:
    parent = Path(tempfile.mkdtemp(prefix="capf-prepared-"))
    atexit.register(shutil.rmtree, parent)
    directory = parent / "state"
    directory.mkdir(mode=0o700)
    url = put_database(directory)
    initialise(NewNode(directory, administrator, password, NAMES, (), url), time.time())
    if first_node:
        _make_tokens(directory, url)
    return directory


def _make_tokens(directory: Path, url: str) -> None:
    """Do what costs most of a first start."""
    held = state.StateDirectory(directory)
    settings = configuration.parse(f"[server]\nstate_directory = {json.dumps(str(directory))}\n")
    context = record_context.make(settings, held, state.load(held))
    store = Store(url)
    try:
        store.write(lambda connection: tokens.make_missing(Transaction(connection, context)))
    finally:
        store.close()
