# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Locked, full, read-only and stopped databases: phones retry and recover automatically (P21)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from capf.phone_session.wire import Command
from support import trouble
from support.client import Client
from support.enrolment import PHONE, STRING, enrol_by_retries, schedule_by_string, until_ready
from support.node import CAPF, RunningNode
from support.postgresql import PostgreSQL

TROUBLES = {
    "sqlite locked": trouble.sqlite_locked,
    "sqlite full": trouble.sqlite_full,
    "postgresql locked": trouble.postgresql_locked,
    "postgresql read-only": trouble.postgresql_read_only,
    "postgresql stopped": trouble.postgresql_stopped,
}


@pytest.fixture(params=TROUBLES)
def case(
    request: pytest.FixtureRequest, tmp_path: Path, cluster: PostgreSQL
) -> Iterator[tuple[RunningNode, trouble.Trouble]]:
    """An activated node and a fault."""
    with ExitStack() as stack:
        if request.param == "sqlite full":
            stack.enter_context(trouble.small_disk(tmp_path / "node" / "state"))
        database = cluster.new_database(cluster.template) if request.param.startswith("postgresql") else None
        node = RunningNode(tmp_path / "node", database=database).start()
        stack.callback(node.stop)
        node.activate()
        schedule_by_string(node)
        yield node, TROUBLES[request.param]


def verify_audit(node: RunningNode) -> None:
    """Check that the audit table is intact."""
    subprocess.run([CAPF, "audit", "verify", "--config", node.config], check=True, capture_output=True)


def test_p21_nothing_is_granted_in_trouble_and_the_phone_gets_its_lsc_after_it(
    case: tuple[RunningNode, trouble.Trouble], cluster: PostgreSQL
) -> None:
    node, trouble_with = case
    until_ready(node)
    process = node.process
    with trouble_with(node, cluster):
        until_ready(node, False)
        client = Client(node.capf_port, PHONE)
        with pytest.raises((EOFError, OSError)):
            client.authenticate(STRING)
        client.close()
    until_ready(node)
    assert node.phone(PHONE)["lsc"] == "Not Installed"
    enrol_by_retries(node, string=STRING)
    assert process is node.process and node.phone(PHONE)["lsc"] == "Installed"
    verify_audit(node)


def test_p21_a_session_under_way_ends_in_trouble_and_its_operation_is_given_back(
    case: tuple[RunningNode, trouble.Trouble], cluster: PostgreSQL
) -> None:
    node, trouble_with = case
    client = Client(node.capf_port, PHONE)
    assert client.authenticate(STRING).command is Command.KEY_GENERATE_REQUEST
    with trouble_with(node, cluster):
        with pytest.raises((EOFError, OSError)):
            client.send_key()
        client.close()
    until_ready(node)
    assert node.phone(PHONE)["lsc"] == "Not Installed"
    enrol_by_retries(node, string=STRING)
    assert node.phone(PHONE)["lsc"] == "Installed"
    assert "Traceback" not in node.log.read_text()
    verify_audit(node)


def test_p21_a_phone_that_could_not_be_heard_is_not_done(
    case: tuple[RunningNode, trouble.Trouble], cluster: PostgreSQL
) -> None:
    node, trouble_with = case
    client = Client(node.capf_port, PHONE)
    client.authenticate(STRING)
    client.send_key()
    with trouble_with(node, cluster):
        with pytest.raises((EOFError, OSError)):
            client.confirm()
        client.close()
    until_ready(node)
    assert node.phone(PHONE)["operation_status"] == "Operation Pending"
    enrol_by_retries(node, string=STRING)
    assert node.phone(PHONE)["operation_status"] == "Upgrade Success"
