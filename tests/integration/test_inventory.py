# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin with ansible-inventory against a real server: groups, constructed options, cache."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.test_examples import documented_in
from support.client import Client
from support.node import RunningNode
from support.plays import PLAYBOOK, ROOT, environment
from support.requesting import ADMINISTRATOR, PASSWORD

A, B, C = "SEP00000000000A", "SEP00000000000B", "SEP00000000000C"
STRING = "By Authentication String"
KEY: dict[str, Any] = {"key_order": "EC Only", "ec_key_size": 256}
INVENTORY = PLAYBOOK.with_name("ansible-inventory")


@pytest.fixture
def three(node: RunningNode) -> RunningNode:
    """A node whose phones A and B have an LSC, while C waits for a string."""
    node.activate()
    berlin, oslo = {"device_pool": "Berlin-Mitte", **KEY}, {"device_pool": "Oslo", "authentication_mode": STRING}
    phones = [{"device_name": A, **berlin}, {"device_name": B, **berlin}, {"device_name": C, **oslo}]
    node.ok("POST", "/phones", {"phones": phones})
    node.schedule(A, B, C)
    for name in (A, B):
        phone = Client(node.capf_port, name)
        phone.authenticate()
        phone.send_key()
        phone.confirm()
        phone.close()
    node.wait(A, B)
    return node


def write(node: RunningNode, name: str = "phones.yml", **options: Any) -> Path:
    """Write an inventory file; return its path."""
    trust = str(node.state / "administration.crt")
    given = {"plugin": "ucm.capf.phones", "port": node.port, "administrator": ADMINISTRATOR, "ca_path": trust}
    path = node.directory / name
    path.write_text(yaml.safe_dump({**given, **options}))
    return path


def plain(value: dict[str, Any]) -> Any:
    """Return what ansible marks as unsafe without the mark."""
    return value.get("__ansible_unsafe", value)


def listed(path: Path, password: str | None = PASSWORD) -> tuple[dict[str, Any], str]:
    """Return the hosts that ansible-inventory lists, and its messages."""
    variables = {**environment(), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    variables.pop("CAPF_PASSWORD", None)
    if password is not None:
        variables["CAPF_PASSWORD"] = password
    argv: list[str | Path] = [INVENTORY, "-i", path, "--list", "-vvv"]
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, check=False, cwd=path.parent)
    start = done.stdout.find("{\n")
    answer: dict[str, Any] = json.loads(done.stdout[start:], object_hook=plain) if done.returncode == 0 else {}
    return answer, done.stdout + done.stderr


def members(answer: dict[str, Any]) -> dict[str, str]:
    """Return the last letters of the hosts of each group."""
    groups = {name: group["hosts"] for name, group in answer.items() if "hosts" in group}
    return {name: "".join(sorted(host[-1] for host in hosts)) for name, hosts in groups.items()}


def test_phones_are_hosts_in_groups_and_no_secret_is_shown(three: RunningNode) -> None:
    string = three.phone(C)["authentication_string"]
    answer, said = listed(write(three, expires_within_days=4000))
    assert members(answer) == {
        "lsc_installed": "AB",
        "no_lsc": "C",
        "lsc_status_Upgrade_Success": "AB",
        "lsc_status_Operation_Pending": "C",
        "device_pool_Berlin_Mitte": "AB",
        "device_pool_Oslo": "C",
        "security_mode_Non_Secure": "ABC",
        "expires_within_4000_days": "AB",
    }
    variables = answer["_meta"]["hostvars"][C]
    assert (variables["capf_device_pool"], variables["capf_lsc"]) == ("Oslo", "Not Installed")
    assert len(string) == 8 and string not in said and PASSWORD not in said


def test_an_lsc_that_has_expired_is_in_a_group_of_its_own(three: RunningNode) -> None:
    three.stop()
    with sqlite3.connect(three.state / "capf.db") as database:
        changed = database.execute("UPDATE certificates SET not_after = 1 WHERE device_name = ?", (A,))
        assert changed.rowcount == 1
    three.start()
    groups = members(listed(write(three, "site.capf.yaml"))[0])
    assert (groups["expired"], groups["lsc_installed"]) == ("A", "AB")
    assert not [name for name in groups if name.startswith("expires_within")]


def test_constructed_options_and_criteria(three: RunningNode) -> None:
    options: dict[str, Any] = {
        "criteria": [{"field": "device_pool", "pattern": "begins with", "value": "Ber"}],
        "compose": {"building": "capf_device_pool.split('-')[1]"},
        "groups": {"with_lsc": "capf_lsc == 'Installed'"},
        "keyed_groups": [{"key": "capf_key_order", "prefix": "keys"}],
    }
    answer, _said = listed(write(three, **options))
    groups = members(answer)
    assert (groups["with_lsc"], groups["keys_EC_Only"]) == ("AB", "AB")
    assert answer["_meta"]["hostvars"][A]["building"] == "Mitte"
    assert C not in answer["_meta"]["hostvars"]
    wrong: dict[str, Any] = {**options, "strict": True, "groups": {"x": "no_such_variable"}}
    assert listed(write(three, **wrong))[0] == {}


def test_the_second_time_the_cache_answers_while_the_server_is_stopped(three: RunningNode) -> None:
    cache: dict[str, Any] = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(three.directory / "c"),
    }
    path = write(three, **cache)
    first, _said = listed(path)
    three.stop()
    assert members(listed(path)[0]) == members(first) != {}
    assert "cannot be reached" in listed(write(three))[1]
    assert PASSWORD not in "".join(item.read_text() for item in (three.directory / "c").iterdir())
    three.start()


def test_p59_templates_and_the_defaults_of_criteria_apply_and_nobody_logs_in_to_a_phone(three: RunningNode) -> None:
    options: dict[str, Any] = {
        "administrator": "{{ 'AD' | lower }}{{ 'MIN' | lower }}",
        "port": "{{ 0 + " + str(three.port) + " }}",
        "criteria": [{"field": "device_pool", "value": "{{ 'Os' ~ 'lo' }}"}],
    }
    answer, said = listed(write(three, **options))
    assert list(answer["_meta"]["hostvars"]) == [C], said
    assert answer["_meta"]["hostvars"][C]["ansible_connection"] == "local"
    assert "one of" in listed(write(three, criteria=[{"field": "device_pool", "pattern": "like"}]))[1]


def test_what_is_wrong_is_said(node: RunningNode) -> None:
    assert "administrator name or password is wrong" in listed(write(node), password="wrong-password")[1]
    assert "password" in listed(write(node), password=None)[1]
    answer, said = listed(write(node, "other.yml"))
    assert answer == {} and "declined parsing" in " ".join(said.split())


def test_the_example_is_read(three: RunningNode) -> None:
    """The documented file, its connection replaced by this node's."""
    example = documented_in(ROOT / "plugins" / "inventory" / "phones.py", "EXAMPLES")
    assert example["cache"] and os.path.basename(example["ca_path"]) == "administration.crt"
    kept = {name: example[name] for name in ("criteria", "groups", "keyed_groups", "compose")}
    answer, said = listed(write(three, **kept))
    assert members(answer)["by_string"] == "C", said
    assert answer["_meta"]["hostvars"][A]["building"] == "Berlin"
