# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration file: frozen settings, or all problems at once."""

from __future__ import annotations

import pytest

from capf.model import InvalidRequestError
from capf.node.configuration import parse


def test_a_state_directory_is_enough() -> None:
    settings = parse('[server]\nstate_directory = "/srv/capf"')
    assert settings.database == "sqlite:////srv/capf/capf.db"
    assert settings.administration_addresses == ("127.0.0.1",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("nonsense", "file: "),
        ("", "server.state_directory: this setting is required"),
        ("[administration]\nport = 70000", "administration.port: '70000' is refused; allowed: a whole number from 1"),
        ("[administration]\nport = true", "administration.port: 'True' is refused"),
        ('[capf]\naddresses = ["node1"]', "capf.addresses: 'node1' is refused; allowed: IPv4 or IPv6 addresses"),
        ('[files]\nenabled = "yes"', "files.enabled: 'yes' is refused; allowed: true or false"),
        ("[reset]\ncommand = [1]", "reset.command: '[1]' is refused; allowed: a list of strings"),
        ("[reset]\ncomand = []", "reset.comand: unknown setting; correct its name, or remove it"),
        (
            "[capff]",
            "capff: unknown table; the tables are server, administration, capf, authentication, files, reset",
        ),
        ("server = 1", "server: '1' is refused; allowed: a table"),
    ],
)
def test_p24_each_fault_names_setting_value_and_what_is_allowed(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse(text)
    assert any(str(item).startswith(problem) for item in refused.value.problems), refused.value


def test_all_faults_come_at_once() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        parse("[administration]\nport = 0\n[files]\nport = 0")
    assert len(refused.value.problems) == 3


def test_p36_administration_listens_somewhere() -> None:
    with pytest.raises(InvalidRequestError, match=r"administration.addresses: at least one address is required"):
        parse('[server]\nstate_directory = "/srv/capf"\n[administration]\naddresses = []')


def test_p36_administration_and_files_do_not_share_a_port() -> None:
    text = '[server]\nstate_directory = "/srv/capf"\n[files]\nport = 8443\n'
    with pytest.raises(InvalidRequestError, match=r"files\.port: this is the port of administration; choose another"):
        parse(text)
    assert parse(text + "enabled = false").files_port == 8443
