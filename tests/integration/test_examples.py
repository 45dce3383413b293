# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in the modules' documentation are run unchanged, against a real server."""

from __future__ import annotations

import ast
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from capf.certificates.authority import common_name, make_capf_certificate
from capf.certificates.keystore import key_pem
from support.archives import PASSPHRASE
from support.node import CAPF, RunningNode
from support.plays import ROOT, connection, play

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
PHONES = ["SEP001122334455", "SEP001122334466"]
ROLLING = {"strategy": "rolling", "contact_seconds": 1, "unreached_limit": "100%", "retries": 0}
ANSIBLES_OWN = {
    "changed",
    "failed",
    "failed_when_result",
    "diff",
    "msg",
    "warnings",
    "uid",
    "gid",
    "owner",
    "group",
    "mode",
    "state",
    "size",
}


def documented(module: str, name: str) -> Any:
    """Return DOCUMENTATION, EXAMPLES or RETURN of a module."""
    return documented_in(ROOT / "plugins" / "modules" / f"{module}.py", name)


def documented_in(path: Path, name: str) -> Any:
    """Return DOCUMENTATION, EXAMPLES or RETURN of a plugin's file."""
    tree = ast.parse(path.read_text())
    (text,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name
    )
    return yaml.safe_load(text)


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[RunningNode]:
    """An activated node with the phones of the examples, one of them with a MIC, and their CSV file."""
    node = RunningNode(tmp_path / "node")
    text = node.config.read_text()
    node.config.write_text(text[: text.index("[reset]")] + '[reset]\ncommand = ["/bin/true", "{name}"]\n')
    node.start()
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": name} for name in PHONES]})
    (node.directory / "phones.csv").write_text("device_name,mic\n" + "".join(f"{name},true\n" for name in PHONES))
    (node.directory / "earlier-report.csv").write_text("Device Name,Device Pool\nSEP001122334477,Berlin\n")
    with closing(sqlite3.connect(node.directory / "capf.sqlite3")) as database:
        database.execute("CREATE TABLE devices (device_name TEXT PRIMARY KEY, operation TEXT NOT NULL)")
        database.execute("INSERT INTO devices VALUES ('SEP001122334488', 'none')")
        database.commit()
    for name in ("manufacturing-ca.pem", "other-capf.pem", "node2.pem", "sast2.pem"):
        key, certificate = make_capf_certificate(os.urandom, time.time(), "Example", "Another CA")
        (node.directory / name).with_suffix(".key").write_bytes(key_pem(key))
        (node.directory / name).write_bytes(certificate.public_bytes(Encoding.PEM))
    yield node
    node.stop()


def begin_rollout(node: RunningNode, module: str) -> None:
    """Start the rollout that a module's examples use."""
    if not module.startswith("rollout_") and module != "report":
        return
    settings = {"wave_seconds": 5, "failure_limit": "100%", **(ROLLING if module == "rollout_watch" else {})}
    node.ok("PUT", "/rollouts/night", {"runner": "run-1", "names": PHONES, **settings})
    if module in ("rollout_wait", "report"):
        node.ok("POST", "/rollouts/night/waves", {"runner": "run-1", "rollout_id": 1})


def prepare_restore(node: RunningNode) -> None:
    """Create a backup, and the configuration of a server without state."""
    argv: list[str | Path] = [
        CAPF,
        "backup",
        "--passphrase-file",
        "-",
        "--config",
        node.config,
        "--to",
        node.directory / "capf.backup",
    ]
    subprocess.run(argv, check=True, capture_output=True, input=PASSPHRASE.encode())
    text = node.config.read_text().replace(str(node.state), str(node.directory / "new"))
    (node.directory / "new.toml").write_text(text)


def prepare_closed_site(node: RunningNode) -> None:
    """Register 25 phones, and list them in a file."""
    names = [f"SEP0022334455{number:02}" for number in range(25)]
    node.ok("POST", "/phones", {"phones": [{"device_name": name} for name in names]})
    (node.directory / "closed-site.csv").write_text("\n".join(["device_name", *names]) + "\n")


def by_variables(node: RunningNode) -> dict[str, Any]:
    """Return the connection to a node, by the names of playbooks' variables."""
    return {f"capf_{name}": value for name, value in connection(node).items()}


def flat(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tasks with those of blocks, each with its block's defaults."""
    return [
        {**inner, **({"module_defaults": task["module_defaults"]} if "block" in task else {})}
        for task in tasks
        for inner in task.get("block", [task])
    ]


@pytest.mark.parametrize("module", MODULES)
def test_p59_the_examples_of_a_module_run_as_they_are_written(ready: RunningNode, module: str) -> None:
    """They succeed, and the return values are documented."""
    begin_rollout(ready, module)
    if module == "restore":
        prepare_restore(ready)
    if module == "phones":
        prepare_closed_site(ready)
    known = {
        "begun": {"rollout": {"id": 1}},
        "capf_password": connection(ready)["password"],
        "capf_new_password": "correct-horse-battery",
        "earlier_certificate": common_name(
            load_pem_x509_certificate((ready.directory / "other-capf.pem").read_bytes())
        ),
        "capf_executable": str(CAPF),
        "capf_backup_passphrase": PASSPHRASE,
    }
    tasks = [{**task, "vars": known} for task in flat(documented(module, "EXAMPLES"))]
    trusted = ready.directory / "certificates" / "administration.crt"
    trusted.parent.mkdir()
    trusted.write_bytes((ready.state / "administration.crt").read_bytes())
    variables = {name.upper(): str(value) for name, value in by_variables(ready).items()}
    results, _output = play(ready, *tasks, variables=variables)
    assert not any(result.get("failed") for result in results), results
    undocumented = set(results[0]) - set(documented(module, "RETURN")) - ANSIBLES_OWN
    assert undocumented == set()


def test_every_module_that_asks_the_server_is_in_the_action_group() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())
    assert sorted(runtime["action_groups"]["capf"]) == [name for name in MODULES if name != "restore"]
