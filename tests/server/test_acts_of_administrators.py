# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""No act of an administrator without its audit row (P22), on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.audited import PHONES, REQUESTS, rows, without_audit
from support.inprocess import InProcess, NodeInProcess, new_state


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeInProcess]:
    """An activated node with a phone on each of the databases; no act changes it."""
    directory = tmp_path_factory.mktemp("acts") / "state"
    if request.param == "sqlite":
        made = NodeInProcess(InProcess(new_state(directory)))
    else:
        cluster = request.getfixturevalue("cluster")
        database = cluster.new_database(cluster.template)
        state = new_state(directory, database=database)
        made = NodeInProcess(InProcess(state, server=f'database = "{database}"\n'))
    made.activate()
    made.ok("POST", "/phones", PHONES)
    yield made
    made.stop()


@pytest.mark.parametrize("act", REQUESTS)
def test_p22_no_audit_row_no_act_of_an_administrator(node: NodeInProcess, act: str) -> None:
    before, running = rows(node.database), node.ok("GET", "/service")["running"]
    with without_audit(node.database):
        status, _answer = node.api(*REQUESTS[act])
    assert status == 503
    assert rows(node.database) == before
    assert node.ok("GET", "/service")["running"] == running
