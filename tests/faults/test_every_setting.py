# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every setting of the configuration file is changed, and a client observes it after a restart (P24)."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from jinja2 import Environment

from capf.node import configuration
from capf.node.node_settings import NodeSettings
from capf_lab.manufacturing import Maker
from support.node import CAPF, RunningNode
from support.settings_table import CASES, Case, change

ROLE = Path(__file__).parents[2] / "roles" / "capf_server"
TEMPLATE = (ROLE / "templates" / "capf.toml.j2").read_text()
VARIABLE = re.compile(r"capf_server_\w+")
every_setting = pytest.mark.parametrize("name", CASES)


def make(directory: Path, case: Case | None = None) -> RunningNode:
    """Return an activated node that trusts the test's manufacturing CA."""
    maker = Maker.open_or_make(directory.parent / "ca", "Test Manufacturing CA")
    node = RunningNode(directory, manufacturing_ca=maker.directory / "ca.pem")
    change(node, {} if case is None else case.base)
    node.start().activate(**{"Enable IPv6": True})
    return node


def end(node: RunningNode) -> None:
    """Stop a node, unless it has ended."""
    assert node.process is not None
    with suppress(ProcessLookupError):
        node.process.kill()
    node.process.wait()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with only base values, which observations do not change."""
    node = make(tmp_path_factory.mktemp("usual") / "node")
    yield node
    end(node)


@every_setting
def test_p24_a_setting_is_seen_after_a_restart(name: str, usual: RunningNode, tmp_path: Path) -> None:
    case = CASES[name]
    shared = not (case.base or case.alone)
    node = make(tmp_path / "node", case)
    try:
        assert case.observe(usual if shared else node) == case.before
        end(node)
        change(node, {(case.table, case.key): case.value})
        if case.carry is not None:
            case.carry(node)
        if case.tell:
            setattr(node, case.tell, case.value)
        (node.directory / "overlap").unlink(missing_ok=True)
        assert case.observe(node.start()) == case.after
    finally:
        end(node)


def test_p24_no_setting_is_left_out() -> None:
    assert set(CASES) == {field.name for field in dataclasses.fields(NodeSettings)}


def test_p24_the_role_deploys_every_setting() -> None:
    environment = Environment(autoescape=False)
    environment.filters |= {"to_json": json.dumps, "bool": bool}
    variables = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    given = {"ansible_managed": "", "capf_server_database": "sqlite:////srv/capf.db", "capf_server_tftp": True}
    halves = {name: value for name, value in variables.items() if str(value).endswith("// 2 }}")}
    given |= {name: environment.from_string(value).render(variables) for name, value in halves.items()}
    text = environment.from_string(TEMPLATE).render({**variables, **given})
    document = tomllib.loads(text)
    assert {(case.table, case.key) for case in CASES.values()} == {
        (table, key) for table, settings in document.items() for key in settings
    }
    assert configuration.parse(text).first_node is True


def test_p24_the_role_documents_every_variable_of_its_templates() -> None:
    documented = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    used = {name for path in (ROLE / "templates").iterdir() for name in VARIABLE.findall(path.read_text())}
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert used <= set(documented) and used <= set(defaults)


@pytest.mark.parametrize("role", sorted(path.name for path in ROLE.parent.iterdir()))
def test_p24_every_role_documents_the_defaults_of_its_variables(role: str) -> None:
    directory = ROLE.parent / role
    specs = yaml.safe_load((directory / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    documented = {name: option.get("default") for name, option in specs["main"]["options"].items()}
    defaults = yaml.safe_load((directory / "defaults" / "main.yml").read_text())
    plain = {name: value for name, value in defaults.items() if "{{" not in json.dumps(value)}
    assert set(defaults) <= set(documented)
    assert {name: documented[name] for name in plain} == plain
    assert [name for name, value in documented.items() if value is not None and name not in plain] == []


@every_setting
def test_p24_a_bad_value_is_named_by_capf_check_and_never_run(name: str, usual: RunningNode, tmp_path: Path) -> None:
    case, copy = CASES[name], tmp_path / "capf.toml"
    document = usual.config.read_text()
    bad = f"[{case.table}]\n{case.key} = {{}}\n"
    lines = re.sub(rf"^{case.key} = .*\n", "", document.split(f"[{case.table}]\n")[-1], count=1, flags=re.MULTILINE)
    before = document.split(f"[{case.table}]\n")[0] if f"[{case.table}]" in document else document
    copy.write_text(before + bad + (lines if f"[{case.table}]" in document else ""))
    for command in ("check", "serve"):
        done = subprocess.run([CAPF, command, "--config", copy], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and f"{case.table}.{case.key}: '{{}}' is refused; allowed: " in done.stderr, done
    assert usual.api("GET", "/healthz", base="")[0] == 200
