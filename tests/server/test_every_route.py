# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every route that changes something writes an audit row; new routes are checked automatically (P22)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from capf.certificates.authority import make_capf_certificate
from capf.certificates.keystore import pem
from support.audited import without_audit
from support.inprocess import InProcess, NodeInProcess, new_state
from support.requesting import ADMINISTRATOR

A, B, C, D = (f"SEP00000000000{letter}" for letter in "ABCD")
Body = dict[str, Any]
Prepare = Callable[[NodeInProcess], Body]
RUN = {"runner": "the test"}


def seen(node: NodeInProcess) -> Body:
    """Return the fields that identify a run and its rollout."""
    return {"rollout_id": node.ok("GET", "/rollouts/night")["id"], **RUN}


def stranger() -> str:
    """Return a CA certificate that the node does not know (PEM)."""
    return pem(make_capf_certificate(os.urandom, time.time(), "Stranger", "CA")[1]).decode()


def begin(node: NodeInProcess) -> Body:
    """Return a rollout of two phones by string, in one wave each."""
    phones = [{"device_name": name, "authentication_mode": "By Authentication String"} for name in (C, D)]
    node.ok("POST", "/phones", {"phones": phones})
    return {"names": [C, D], "wave_size": "1", "spread_by": "none", "failure_limit": "100%", **RUN}


def begin_rolling(node: NodeInProcess) -> Body:
    """Begin a rolling rollout of the same phones; return the request that pauses it."""
    node.ok("PUT", "/rollouts/night", {**begin(node), "strategy": "rolling"})
    return {}


CHANGES: dict[str, Prepare] = {
    "POST /phones": lambda _n: {"phones": [{"device_name": A, "description": "new"}]},
    "POST /operations": lambda _n: {"operation": "Install/Upgrade", "phones": [A]},
    "POST /phones/reset": lambda _n: {"phones": [A]},
    "POST /phones/import": lambda _n: {"phones": [{"device_name": B}]},
    "PUT /service-parameters": lambda _n: {"parameters": {"Key Size": 3072}},
    "PUT /enterprise-parameters": lambda _n: {"parameters": {"Enable IPv6": True}},
    "POST /service/restart": lambda _n: {},
    "PUT /trace": lambda _n: {"debug_trace_level": "Detailed"},
    "PUT /manufacturing-cas": lambda _n: {"certificates": [stranger()]},
    "PUT /capf-certificate/trusted": lambda _n: {"state": "present", "certificates": [stranger()]},
    "PUT /capf-certificate": lambda _n: {"state": "prepared"},
    "PUT /ctl-file": lambda _n: {},
    "POST /backup": lambda _n: {"plain": True},
    "PUT /rollouts/{name}": begin,
    "POST /rollouts/{name}/waves": seen,
    "POST /rollouts/{name}/waves/{number}/judge": seen,
    "POST /rollouts/{name}/abort": seen,
    "POST /rollouts/{name}/pause": begin_rolling,
    "POST /rollouts/{name}/resume": lambda _n: {},
    "PUT /nodes": lambda _n: {"nodes": [{"name": "192.0.2.2", "administration_address": "127.0.0.1",
                                         "administration_port": 9, "administration_certificate": stranger()}]},
    "POST /nodes/publish": lambda _n: {"phones": [A]},
    "PUT /service": lambda _n: {"activated": False},
    "PUT /account/password": lambda _n: {"password": "another password"},
}  # fmt: skip
"""The routes that change something, in an order in which each of them can change something."""

OF_SUBSCRIBERS = {"PUT /files"}
NEEDS_LOCK = {"POST /phones/unlock"}
READS = {
    "POST /phones/find", "POST /reports/capf", "POST /operations/wait", "POST /files/compare", "POST /nodes/check",
    "POST /preflight", "POST /rollouts/{name}/waves/{number}/wait",
}  # fmt: skip
LEASES = {"POST /rollouts/{name}/release", "POST /rollouts/{name}/watch"}
"""The heartbeat and the release of a run: they change which run leads a rollout, but not the rollout."""


@pytest.fixture(scope="module")
def only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeInProcess]:
    """An activated node whose reset command does nothing."""
    state = new_state(tmp_path_factory.mktemp("routes") / "state")
    node = NodeInProcess(InProcess(state))
    node.activate()
    yield node
    node.stop()


def record(node: NodeInProcess) -> dict[str, list[Any]]:
    """Return the files of the state directory, and all rows except audit rows and those of background work."""
    engine = create_engine(node.database)
    with engine.connect() as connection:
        tables = [name for name in inspect(connection).get_table_names() if not name.startswith("audit")]
        found = {name: sorted(map(repr, connection.execute(text(f"SELECT * FROM {name}")))) for name in tables}
    engine.dispose()
    own = ("('probe',", "('heartbeat of ")
    found["settings"] = [row for row in found["settings"] if not row.startswith(own)]
    return found | {"files": sorted(files(node.state))}


def files(directory: Path) -> Iterator[str]:
    """Yield the files with keys, certificates and CTL files, with their content."""
    for path in directory.rglob("*"):
        if path.is_file() and path.suffix in (".pem", ".crt", ".key", ".tlv", ".0") and "trace" not in path.parts:
            yield f"{path.relative_to(directory)} {path.read_bytes()!r}"


def acts(node: NodeInProcess) -> list[tuple[str, str]]:
    """Return (actor, action) of all audit rows."""
    engine = create_engine(node.database)
    with engine.connect() as connection:
        found = [(row.actor, row.action) for row in connection.execute(text("SELECT actor, action FROM audit"))]
    engine.dispose()
    return found


def call(node: NodeInProcess, route: str, body: Body) -> int:
    """Send a request; return its status."""
    method, path = route.split()
    return node.api(method, path.format(name="night", number=1), body)[0]


def routes(node: NodeInProcess) -> set[str]:
    """Return every route of the API that is not read-only."""
    paths = node.api("GET", "/openapi.json", base="")[1]["paths"]
    found = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    return {route.replace(" /api/v1", " ") for route in found if not route.startswith("GET")}


def test_p22_every_route_that_may_change_something_is_known(only: NodeInProcess) -> None:
    assert routes(only) == {*CHANGES, *OF_SUBSCRIBERS, *NEEDS_LOCK, *READS, *LEASES}


def test_p22_each_change_has_its_audit_row_and_is_not_made_without_it(only: NodeInProcess) -> None:
    for route, prepare in CHANGES.items():
        body, before, known = prepare(only), record(only), len(acts(only))
        with without_audit(only.database):
            assert call(only, route, body) == 503, route
        assert record(only) == before, route
        assert call(only, route, body) == 200, route
        assert ADMINISTRATOR in {actor for actor, _action in acts(only)[known:]}, route


def test_p22_a_subscriber_takes_no_file_without_an_audit_row(tmp_path: Path) -> None:
    state = new_state(tmp_path / "state", first_node=False)
    node = NodeInProcess(InProcess(state, server="first_node = false\n"))
    wanted = {"files": {f"{A}.cnf.xml": "PGRldmljZS8+"}}
    with without_audit(node.database):
        assert node.api("PUT", "/files", wanted)[0] == 503
    assert not list(node.state.rglob(f"{A}.cnf.xml"))
    assert node.ok("PUT", "/files", wanted)["changed"]
    assert (ADMINISTRATOR, "take files") in acts(node)
    node.stop()
