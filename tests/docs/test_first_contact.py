# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What somebody meets first: names, the connection, and documentation that is complete (P59)."""

from __future__ import annotations

import ast
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "plugins" / "modules").glob("*.py"))
CONNECTION = ["host", "port", "administrator", "password", "ca_path", "validate_certs", "timeout"]
OF_THE_ROLE = {"deploy.yml", "restore.yml", "lab.yml"}
"""Playbooks that run modules on the node, or none, and take the connection from the role's variables."""


def constant(path: Path, name: str) -> Any:
    """Return what a plugin's file assigns to a name, read as YAML."""
    found = [
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name
    ]
    return yaml.safe_load(found[0])


def test_p59_a_module_and_its_info_share_a_name_and_none_has_the_name_of_a_builtin() -> None:
    names = {path.stem for path in MODULES}
    spec = find_spec("ansible.modules")
    assert spec is not None and spec.submodule_search_locations
    builtins = {path.stem for place in spec.submodule_search_locations for path in Path(place).glob("*.py")}
    assert names & builtins == set() and "service" in builtins
    alone = {name for name in names if name.endswith("_info") and name.removesuffix("_info") not in names}
    assert alone == {"preflight_info"}  # a checklist that only looks


def test_p59_every_option_of_the_connection_has_its_variable_of_the_environment() -> None:
    fragment = constant(ROOT / "plugins" / "doc_fragments" / "connection.py", "DOCUMENTATION")["options"]
    inventory = constant(ROOT / "plugins" / "inventory" / "phones.py", "DOCUMENTATION")["options"]
    assert list(fragment) == CONNECTION
    for name in CONNECTION:
        assert f"E(CAPF_{name.upper()})" in str(fragment[name]["description"]), name
        assert inventory[name] == {"env": [{"name": f"CAPF_{name.upper()}"}]}
    source = (ROOT / "plugins" / "module_utils" / "_argspec.py").read_text()
    assert 'fallback=(env_fallback, [f"CAPF_{name.upper()}"])' in source


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.name)
def test_p59_every_playbook_takes_the_connection_from_variables_or_the_environment(path: Path) -> None:
    for play in yaml.safe_load(path.read_text()):
        given = play.get("module_defaults", {}).get("group/ucm.capf.capf")
        if given is None or path.name in OF_THE_ROLE:
            continue
        assert list(given) == CONNECTION
        assert [name for name, value in given.items() if "omit" not in value or f"capf_{name}" not in value] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_p59_every_module_says_what_it_returns_and_what_else_to_see(path: Path) -> None:
    documentation, returned = constant(path, "DOCUMENTATION"), constant(path, "RETURN")
    assert documentation.get("seealso"), "seealso"
    assert [name for name, value in returned.items() if not is_described(value)] == []


def is_described(value: dict[str, Any]) -> bool:
    """Return whether a return value has a sample, or says what it contains."""
    if value.get("type") not in ("dict", "list"):
        return True
    inner = value.get("contains")
    if inner:
        return all(item.get("description") for item in inner.values())
    return "sample" in value


def test_p59_no_example_repeats_the_connection() -> None:
    repeated = [path.name for path in MODULES if re.search(r"^ +password: .*capf_password", examples(path), re.M)]
    assert repeated == ["capf_service_info.py"]


def examples(path: Path) -> str:
    """Return the text of a module's examples."""
    return path.read_text().partition('EXAMPLES = r"""')[2].partition('"""')[0]


AWX = ROOT / "extensions" / "awx"
TYPES = {"text": {"str", "path"}, "password": {"str"}, "integer": {"int"}, "multiplechoice": {"str", "bool"}}


def test_p59_the_survey_asks_for_variables_of_the_role_as_the_role_has_them() -> None:
    specs = yaml.safe_load((ROOT / "roles" / "lsc_rollout" / "meta" / "argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    survey = json.loads((AWX / "rollout_survey.json").read_text())["spec"]
    for question in survey:
        option = options[question["variable"]]
        assert option["type"] in TYPES[question["type"]], question
        if "choices" in question:
            assert question["choices"] == option.get("choices", ["true", "false"]), question
        if "default" in option:
            assert str(question["default"]).lower() == str(option["default"]).lower(), question
    assert len(survey) > 8


def test_p59_the_credential_type_gives_the_connection_in_the_environment() -> None:
    credential = yaml.safe_load((AWX / "credential_type.yml").read_text())
    assert set(credential["injectors"]["env"]) <= {f"CAPF_{name.upper()}" for name in CONNECTION}
    fields = {field["id"]: field for field in credential["inputs"]["fields"]}
    assert set(credential["inputs"]["required"]) < set(fields)
    assert [name for name, field in fields.items() if field.get("secret")] == ["password"]


@pytest.mark.parametrize("name", ["backup", "preflight", "report", "rollout"])
def test_p59_results_are_handed_to_awx_by_set_stats(name: str) -> None:
    place = {"preflight": "roles/preflight/tasks/main.yml", "rollout": "roles/lsc_rollout/tasks/report.yml"}
    text = (ROOT / place.get(name, f"playbooks/{name}.yml")).read_text()
    assert "ansible.builtin.set_stats:\n" in text and f"capf_{name}:" in text


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_p59_the_readme_of_a_role_has_a_play_that_uses_it(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text()
    (play,) = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    options = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())
    (used,) = play["roles"]
    assert used["role"] == f"ucm.capf.{role}"
    assert set(used.get("vars", {})) <= set(options["argument_specs"]["main"]["options"])


def test_p59_the_readme_begins_with_installation_and_its_links_work_on_galaxy() -> None:
    text = (ROOT / "README.md").read_text()
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert headings[:3] == ["Requirements", "Installation", "First steps"] and "Support" in headings
    assert "ansible-galaxy collection install ucm.capf" in text
    assert [link for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith(("https://", "#"))] == []
