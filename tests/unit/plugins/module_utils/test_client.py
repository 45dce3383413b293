# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from ansible_collections.ucm.capf.plugins.module_utils._client import CapfError, Client

RIGHT = {
    "host": "127.0.0.1",
    "port": 8443,
    "administrator": "admin",
    "password": "correct-horse-battery",
    "ca_path": None,
    "validate_certs": True,
    "timeout": 5,
}


@pytest.mark.parametrize("host", ["cucm-1.example.com", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "m\u00fcnchen"])
def test_a_name_and_an_address_are_hosts(host: str) -> None:
    Client(dict(RIGHT, host=host))


@pytest.mark.parametrize("host", ["https://cucm", "cucm:8443", "cucm/api", "[2001:db8::1]", "a b", "u@cucm", ""])
def test_a_host_that_is_none_is_refused_by_its_field(host: str) -> None:
    with pytest.raises(CapfError) as refused:
        Client(dict(RIGHT, host=host))
    assert not refused.value.unavailable
    message = f"{host!r} is refused; allowed: a host name or an IP address, not a URL"
    assert refused.value.problems == [{"field": "host", "value": host, "message": message}]


def test_every_option_with_which_no_server_is_reached_is_named(tmp_path: Path) -> None:
    text = tmp_path / "notes"
    text.write_text("no certificate\n")
    with pytest.raises(CapfError) as refused:
        Client(dict(RIGHT, port=0, timeout=-1, ca_path=str(text)))
    assert [problem["field"] for problem in refused.value.problems] == ["port", "timeout", "ca_path"]
    assert "port: '0' is refused; allowed: a whole number from 1 to 65535" in str(refused.value)
    assert "timeout: '-1' is refused; allowed: a whole number of seconds from 1 to" in str(refused.value)
    assert f"ca_path: '{text}' contains no certificate in PEM; give" in str(refused.value)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(CapfError, match=f"port: '{port}' is refused"):
        Client(dict(RIGHT, port=port))


def test_a_file_of_certificates_that_is_not_there_is_refused_where_it_is_used(tmp_path: Path) -> None:
    missing = str(tmp_path / "administration.crt")
    with pytest.raises(CapfError, match=r"ca_path: .* cannot be read: No such file or directory"):
        Client(dict(RIGHT, ca_path=missing))
    with pytest.raises(CapfError, match=r"ca_path: .* cannot be read: Is a directory"):
        Client(dict(RIGHT, ca_path=str(tmp_path)))
    Client(dict(RIGHT, ca_path=missing, validate_certs=False))


def test_a_server_out_of_reach_may_be_asked_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(CapfError) as failed:
            Client(dict(RIGHT, port=free.getsockname()[1])).get("/service")
    assert failed.value.unavailable and "cannot be reached" in str(failed.value)
