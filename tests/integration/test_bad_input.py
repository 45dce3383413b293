# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input causes a clear error with field, value and allowed values, and changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from support.node import RunningNode, free_ports
from support.plays import collections, connection, play

A, B = "SEP00000000000A", "SEP00000000000B"
STRING = "By Authentication String"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with a non-secure and a secure phone without certificates."""
    running = RunningNode(tmp_path_factory.mktemp("bad") / "node").start()
    phones = [
        {"device_name": A, "authentication_mode": STRING},
        {"device_name": B, "device_security_mode": "Encrypted"},
    ]
    running.ok("POST", "/phones", {"phones": phones})
    yield running
    running.stop()


CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a device name with a wrong form": (
        "phones",
        {"phones": [{"device_name": A}, {"device_name": "SEP123"}]},
        "phones[1].device_name: 'SEP123' is refused; allowed: SEP or ATA and 12 upper-case hexadecimal digits",
    ),
    "an unknown key size": (
        "phone_operations",
        {"phones": [A], "key_size": 1000},
        "value of key_size must be one of: 512, 1024, 2048, 3072, 4096, got: 1000",
    ),
    "Operation Completes By in the past": (
        "phone_operations",
        {"phones": [A], "completes_by": "2020-01-31T06:00"},
        "completes_by: '2020-01-31T06:00' is refused; allowed: a future date and time, such as",
    ),
    "Operation Completes By that is unreadable": (
        "phone_operations",
        {"phones": [A], "completes_by": "tomorrow"},
        "completes_by: 'tomorrow' is refused; allowed: a future date and time, such as",
    ),
    "a phone that is not registered with the server": (
        "phone_operations",
        {"phones": [A, "SEP0000000000FF"]},
        "phones[1]: SEP0000000000FF is not registered with the server; register the phone first",
    ),
    "the same phone twice in a list": (
        "phone_operations",
        {"phones": [A, B, A]},
        f"phones[2]: {A} is listed twice, first as phones[0]; list each phone once",
    ),
    "Delete for a phone without certificate": (
        "phone_operations",
        {"phones": [A], "operation": "Delete"},
        f"phones[0]: {A} has no LSC to delete; leave the phone out",
    ),
    "Troubleshoot for a phone without certificate": (
        "phone_operations",
        {"phones": [A], "operation": "Troubleshoot"},
        f"phones[0]: {A} has neither an LSC nor a MIC to fetch; leave the phone out",
    ),
    "By Authentication String for a secure device without LSC": (
        "phone_operations",
        {"phones": [B], "authentication_mode": STRING},
        f"phones[0].authentication_mode: {B} is a secure device without an LSC",
    ),
    "a parameter out of range": (
        "service_parameters",
        {"parameters": {"Duration Of Certificate Validity": 50}},
        "parameters.Duration Of Certificate Validity: '50' is refused; allowed: a whole number from 1 to 20",
    ),
    "a pattern that does not fit the field": (
        "phones_info",
        {"criteria": [{"field": "lsc_expires", "pattern": "contains", "value": "x"}]},
        "criteria[0].pattern: 'contains' is refused; allowed: is before, is exactly, is after",
    ),
    "a page that does not exist": (
        "phones_info",
        {"page": 0},
        "page: '0' is refused; allowed: at least 1",
    ),
    "a time to wait that is not a number": (
        "phone_operations_wait",
        {"phones": [A], "wait_timeout": "soon"},
        "argument 'wait_timeout' is of type",
    ),
    "a phone to wait for that is not registered": (
        "phone_operations_wait",
        {"phones": ["SEP0000000000FF"], "wait_timeout": 0},
        "phones[0]: SEP0000000000FF is not registered with the server; register the phone first",
    ),
}


def snapshot(node: RunningNode) -> object:
    """Return everything that a request could have changed."""
    return node.ok("POST", "/phones/find", {}), node.ok("GET", "/service-parameters")


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_named_and_changes_nothing(node: RunningNode, case: str) -> None:
    module, arguments, message = CASES[case]
    before = snapshot(node)
    (result,), _output = play(node, {f"ucm.capf.{module}": arguments})
    assert result["failed"] and not result["changed"]
    assert message in result["msg"]
    assert snapshot(node) == before


CELLS = "cells, and the header has 2"
CSV_CASES: dict[str, tuple[str | bytes, str]] = {
    "a string of 3 digits": (
        f"device_name,authentication_string\n{A},123\n",
        "line 2 authentication_string: an authentication string has 4 to 10 digits",
    ),
    "a string of 11 digits": (f"device_name,authentication_string\n{A},12345678901\n", "4 to 10 digits"),
    "a string with letters": (f"device_name,authentication_string\n{A},12ab\n", "4 to 10 digits"),
    "a string for another mode": (
        f"device_name,authentication_string\n{B},1234\n",
        "a string needs the mode By Authentication String",
    ),
    "an unknown column": ("device_name,colour\n", "line 1: column 'colour' is unknown; allowed: device_name, descr"),
    "no device name column": ("description\nx\n", "line 1: the column device_name is missing"),
    "an empty device name": (f"device_name,key_size\n{A},\n,2048\n", "line 3 device_name is empty; give a device name"),
    "not a number": (
        f"device_name,key_size\n{A},big\n",
        "line 2 key_size: 'big' is refused; allowed: a number",
    ),
    "too many cells": (f"device_name,key_size\n{A},2048,x\n", f"line 2: the row has 3 {CELLS}"),
    "too few cells": (f"device_name,key_size\n{A}\n", f"line 2: the row has 1 {CELLS}"),
    "a wrong name": (f"device_name\n{A}\nSEP9\n", "line 3 device_name: 'SEP9' is refused; allowed: SEP or ATA"),
    "the same phone twice": (
        f"device_name\n{A}\n{B}\n{A}\n",
        f"line 4 device_name: {A} is listed twice, first as line 2; list each phone once",
    ),
    "a file that is not text": (b"device_name\n\xff\xfe\n", "line 2: not valid UTF-8"),
}


@pytest.mark.parametrize("case", CSV_CASES)
def test_a_csv_file_with_a_bad_row_is_named_by_its_line(node: RunningNode, case: str) -> None:
    text, message = CSV_CASES[case]
    path = node.directory / "bad.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = snapshot(node)
    (result,), _output = play(node, {"ucm.capf.phone_operations": {"csv_file": str(path)}})
    assert result["failed"], result
    assert message in result["msg"] and str(path) in result["msg"]
    assert snapshot(node) == before


def test_a_wrong_administrator_password_is_reported(node: RunningNode) -> None:
    (result,), _output = play(node, {"ucm.capf.capf_service_info": {}}, password="not-the-password")
    assert result["msg"] == "administrator name or password is wrong"


def test_a_wrong_administrator_name_is_reported(node: RunningNode) -> None:
    (result,), _output = play(node, {"ucm.capf.capf_service_info": {}}, administrator="nobody")
    assert result["msg"] == "administrator name or password is wrong"


def test_an_unreachable_server_is_reported(node: RunningNode) -> None:
    port = free_ports(1)[0]
    (result,), _output = play(node, {"ucm.capf.capf_service_info": {}}, port=port)
    wanted = f"the CAPF server https://127.0.0.1:{port}/api/v1 cannot be reached"
    assert result["msg"].startswith(wanted) and "Connection refused" in result["msg"]
    assert result["unavailable"]


def test_p59_a_certificate_that_is_not_trusted_is_reported_with_the_file_to_give(node: RunningNode) -> None:
    (result,), _output = play(node, {"ucm.capf.capf_service_info": {}}, ca_path=str(node.capf_certificate))
    assert "cannot be reached" in result["msg"] and "its certificate is not trusted; set ca_path" in result["msg"]
    assert "administration.crt" in result["msg"] and "\n" not in result["msg"]
    assert not result["unavailable"]


def test_connection_options_that_are_wrong_are_named_and_no_outage(node: RunningNode) -> None:
    wrong: dict[str, Any] = {"host": "https://127.0.0.1", "port": 99999, "timeout": 0, "ca_path": "/no/such.crt"}
    (result,), _output = play(node, {"ucm.capf.capf_service_info": {}}, **wrong)
    assert [problem["field"] for problem in result["problems"]] == list(wrong), result
    assert "ca_path: '/no/such.crt' cannot be read: No such file or directory" in result["msg"]
    assert not result["unavailable"]


def test_a_disk_that_is_full_is_no_outage_of_the_server(node: RunningNode) -> None:
    options = {"host": "127.0.0.1", "validate_certs": True, "timeout": 60, **connection(node)}
    code = (
        "import json, sys\n"
        "from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client\n"
        "try:\n"
        "    Client(json.load(sys.stdin)).download('/backup', {'plain': True}, open('/dev/full', 'wb', buffering=0))\n"
        "except CapfError as error:\n"
        "    print(error, error.unavailable)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(options),
        env={**os.environ, "PYTHONPATH": str(collections())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "the answer cannot be written: No space left on device False\n"
