# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A path is relative to where the command was typed: the rule, and that every path goes through it (P35)."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import paths
from support.plays import ROOT

OWN = (
    r"\{\{ \w+\.path \}\}",  # a temporary file of the playbook's own
    r"\{\{ (capf_server_(ca_path|configuration|directory|own_directory|state_directory|tftp_directory)\b|role_path)",
    r"\{\{ capf_server_(program_directory|release)\b",
    r"\{\{ \(?lab_directory\b",
    r"\{\{ \(capf_server_wheelhouse\.stdout",
    r"\{\{ \(?lsc_rollout_(output|directories|reports|place|summary_directory)\b",
    r"\{\{ \(?(abort_directory|capf_server_certificates_here)\b",
    r"\{\{ item(\.path)? \}\}",
    r"/|(capf\.service|tftpd-hpa|capf\.toml)\.j2$",
)
"""Paths that nobody gives, that are on the node, or that were made absolute before."""
SITE_FILE = "{{ lsc_rollout_site | ucm.capf.site_file }}"


@pytest.fixture
def from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """The filter, from a collections path of this test's own."""
    place = tmp_path / "collections/ansible_collections/ucm"
    place.mkdir(parents=True)
    (place / "capf").symlink_to(ROOT)
    monkeypatch.syspath_prepend(str(tmp_path / "collections"))
    forget()
    yield importlib.import_module("ansible_collections.ucm.capf.plugins.filter.from_here").from_here
    forget()


def forget() -> None:
    """Forget the collection, whatever other tests have imported of it."""
    for name in [name for name in sys.modules if name.startswith("ansible_collections")]:
        del sys.modules[name]


@pytest.mark.parametrize("pwd", ["/elsewhere", None])
def test_p35_a_path_is_relative_to_the_working_directory_whatever_pwd_says(
    from_here: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pwd: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", "") if pwd is None else monkeypatch.setenv("PWD", pwd)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("SITE", "berlin")
    assert from_here("phones.csv") == f"{tmp_path}/phones.csv"
    assert from_here("./a//b.csv") == f"{tmp_path}/a/b.csv"
    assert from_here("$SITE/b.csv") == f"{tmp_path}/berlin/b.csv"
    assert from_here("~/b.csv") == "/home/ann/b.csv"
    assert from_here("/a/b.csv") == "/a/b.csv" and from_here(".") == str(tmp_path)
    assert (from_here(""), from_here(None)) == ("", None)


def test_p35_lists_and_dictionaries_of_paths_become_absolute(
    from_here: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert from_here(["a", "/b"]) == [f"{tmp_path}/a", "/b"]
    tokens = [{"slot": 1, "key_file": "k"}, {"slot": 2, "key_file": None}]
    assert from_here(tokens, ["key_file"]) == [{"slot": 1, "key_file": f"{tmp_path}/k"}, {"slot": 2, "key_file": None}]
    with pytest.raises(Exception, match="from_here: 7 is refused; allowed: a path, or a list of paths"):
        from_here(7)


def test_p35_no_path_through_a_symbolic_link_leads_elsewhere(
    from_here: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real/site").mkdir(parents=True)
    (tmp_path / "real/phones.csv").write_text("x")
    (tmp_path / "link").symlink_to("real/site")
    monkeypatch.chdir(tmp_path)
    assert os.path.samefile(from_here("link/../phones.csv"), tmp_path / "real/phones.csv")
    monkeypatch.chdir(tmp_path / "link")
    monkeypatch.setenv("PWD", str(tmp_path / "link"))
    for path in ("../phones.csv", "../site/../phones.csv"):
        assert os.path.samefile(from_here(path), path)


def test_p35_every_path_variable_goes_through_the_rule() -> None:
    """A variable that is a path is never used without the filter, except where only its presence matters."""
    names = "|".join(sorted(paths.declared() - paths.on_the_node()))
    bare = re.compile(
        rf"(?<![\w'.])({names})\b(?!:|[\w'.])(?!(?: \| default\([^)]*\))? \| {re.escape(paths.FROM_HERE)})"
        r"(?! is defined| is not defined| \| length| else)"
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in paths.FILES
        for line in path.read_text().splitlines()
        if not line.lstrip().startswith(("#", "fail_msg:")) and bare.search(line)
    ]
    assert found == [] and len(names.split("|")) >= 8


def test_p35_every_path_that_a_task_uses_is_absolute_or_the_roles_own() -> None:
    given = list(paths.paths_of_tasks())
    own = re.compile("|".join(f"(?:{pattern})" for pattern in OWN))
    ruled = re.compile("|".join(map(re.escape, (paths.FROM_HERE, paths.CA_PATH))))
    found = [item for item in given if not ruled.search(item[3]) and not own.match(item[3]) and item[3] != "item"]
    assert [f"{path.relative_to(ROOT)} {module} {option}: {value}" for path, module, option, value in found] == []
    assert len(given) > 40


def test_p35_the_certificate_that_the_environment_names_goes_through_the_rule_too() -> None:
    """A module that reads CAPF_CA_PATH itself would look for it in the directory of the playbook."""
    given = [value for _path, _module, option, value in paths.paths_of_tasks() if option == "ca_path"]
    wanted = "{{ capf_ca_path | default(none) | ucm.capf.ca_path or omit }}"
    assert set(given) == {wanted, "{{ capf_server_ca_path }}"} and len(given) > 10


def test_p35_the_certificate_comes_from_the_variable_or_the_environment_and_becomes_absolute(
    from_here: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca_path = importlib.import_module("ansible_collections.ucm.capf.plugins.filter.ca_path").ca_path
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAPF_CA_PATH", "of/environment.crt")
    assert (ca_path(None), ca_path("given.crt"), ca_path("")) == (
        f"{tmp_path}/of/environment.crt", f"{tmp_path}/given.crt", "",
    )  # fmt: skip
    monkeypatch.delenv("CAPF_CA_PATH")
    assert ca_path(None) == ""


def test_p35_paths_on_the_node_are_declared_and_checked() -> None:
    assert paths.on_the_node() < paths.declared()
    assert not paths.on_the_node() & paths.used()


def test_p35_a_rollout_tries_all_that_it_writes_before_it_begins() -> None:
    tasks = ROOT / "roles/lsc_rollout/tasks"
    order = list(included_tasks(tasks / "main.yml", tasks))
    assert order.index("writable.yml") < order.index("plan.yml") < order.index("take.yml")
    lists = re.findall(r"patterns: (\[.*\])", (tasks / "writable.yml").read_text())
    patterns = [pattern for found in lists for pattern in yaml.safe_load(found)]
    written = re.findall(
        r"lsc_rollout_(?:output|summary_directory)(?: ~ '| \}\})/([^'\"]+)",
        "".join(p.read_text() for p in tasks.glob("*.yml")),
    )
    assert len(written) >= 4
    for name in written:
        file = name.rpartition("/")[2].replace(SITE_FILE, "Berlin.csv")
        assert any(fnmatch(file, pattern) for pattern in patterns) or file == "strings", name


def included_tasks(path: Path, tasks: Path) -> Iterator[str]:
    """Yield the files of tasks that a file includes, in the order in which they are run."""
    for name in re.findall(r"include_tasks: (\w+\.yml)", path.read_text()):
        yield name
        yield from included_tasks(tasks / name, tasks)


def test_p35_the_environments_pwd_is_used_nowhere() -> None:
    used = [path for folder in ("playbooks", "plugins", "roles") for path in (ROOT / folder).rglob("*.yml")]
    assert [path for path in used if "'PWD'" in path.read_text()] == []


def test_p35_the_error_of_a_file_shows_its_absolute_path(
    from_here: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a module in somebody's own playbook too, which keeps Ansible's own working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "phones.csv").write_text("colour\n")
    utils = "ansible_collections.ucm.capf.plugins.module_utils."
    rows, files, earlier, client = (
        importlib.import_module(utils + name) for name in ("_lists", "_files", "_earlier", "_client")
    )
    params = {"host": "h", "port": 1, "timeout": 1, "validate_certs": True, "ca_path": "no"}
    told_by: tuple[Callable[[], object], ...] = (
        lambda: rows.read("no"), lambda: files.read_pem("files", "no"), lambda: earlier.read_csv("no"),
        lambda: earlier.read_capfd("no"), lambda: client.Client(params),
    )  # fmt: skip
    for reported in told_by:
        with pytest.raises(client.CapfError, match=re.escape(f"'{tmp_path}/no'")):
            reported()
    with pytest.raises(client.CapfError, match=re.escape(f"{tmp_path}/phones.csv line 1: column 'colour'")):
        rows.read("phones.csv")
