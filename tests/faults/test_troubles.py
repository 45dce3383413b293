# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics, readiness and unknown paths."""

from __future__ import annotations

import json

from support.client import Client
from support.enrolment import PHONE as A
from support.enrolment import enrol, schedule
from support.node import RunningNode


def test_metrics_show_sessions_and_operations(node: RunningNode) -> None:
    schedule(node)
    client = Client(node.capf_port, A)
    text = node.api("GET", "/metrics", base="")[1]
    assert "capf_sessions_open 1.0" in text
    assert 'capf_operations{status="Operation Pending"} 1.0' in text
    assert "capf_phones 1.0" in text and "capf_lsc_active 0.0" in text
    client.close()
    enrol(node)
    assert "capf_lsc_active 1.0" in node.api("GET", "/metrics", base="")[1]


def test_p30_readiness_warns_of_nothing_while_the_capf_certificate_is_young(node: RunningNode) -> None:
    assert node.api("GET", "/readyz", base="")[1] == json.loads('{"ready": true, "problems": [], "warnings": []}')


def test_an_unknown_path_is_not_found(node: RunningNode) -> None:
    assert node.api("GET", "/nothing")[0] == 404
