# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Root follows no link of the service user (P31): neither the command nor the tasks of the role."""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from capf.certificates import authority, keystore
from capf.certificates.secretbox import SecretBox
from capf.cluster import sharing
from capf.command_line import privileges
from support.stepping_down import FILES, FOLDERS, OWNER, Outside, capf, in_a_child, owned, reachable

pytestmark = pytest.mark.tools

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "roles" / "capf_server"
ROOT_ONLY = ROLE / "files" / "root_only.py"
PAIR = keystore.KeyPair(*authority.make_capf_certificate(os.urandom, time.time(), "ucm.capf", "CAPF"))
KEYS = {
    "strings.key": b"s" * 32,
    "capf.key": PAIR.pem,
    "tokens/a.key": SecretBox(b"s" * 32).encrypt("token", "a"),
    "manufacturing/b.pem": keystore.pem(PAIR.certificate),
}
PACKED = json.dumps({name: base64.b64encode(data).decode() for name, data in KEYS.items()}).encode()


@pytest.fixture
def node() -> Iterator[Path]:
    """A directory with a state directory owned by the user nobody, its configuration, and a directory of root."""
    assert os.geteuid() == 0, "these tests give up root, and so need it"
    with reachable() as path:
        (path / "outside").mkdir(mode=0o700)
        owned(path / "state")
        (path / "capf.toml").write_text(f"[server]\nstate_directory = {json.dumps(str(path / 'state'))}\n")
        yield path


@pytest.fixture(scope="module")
def certificate() -> bytes:
    """A certificate, PEM."""
    return keystore.pem(authority.make_capf_certificate(os.urandom, time.time(), "maker", "Maker")[1])


def take(node: Path) -> tuple[int, str, str]:
    """Copy the keys to a state directory as root."""
    return capf("keys", "take", "--state-directory", node / "state", given=PACKED)


def test_p31_root_becomes_the_owner_of_the_state_directory(node: Path) -> None:
    assert take(node) == (0, json.dumps({"changed": sorted(KEYS)}) + "\n", "")
    made = list((node / "state").rglob("*"))
    assert len(made) == len(KEYS) + 2 and {(path.lstat().st_uid, path.lstat().st_gid) for path in made} == {
        (OWNER,) * 2
    }
    assert {path.stat().st_mode & 0o077 for path in made} == {0}
    status, output, _errors = capf("keys", "show", "--state-directory", node / "state")
    assert status == 0 and sharing.unpack(output) == KEYS
    assert os.geteuid() == 0


@pytest.mark.parametrize("place", ["state", "state/deep/down"])
def test_p31_root_is_given_up_for_good(node: Path, place: str) -> None:
    arguments = argparse.Namespace(command="keys", state_directory=node / place)

    def work() -> int:
        said = privileges.step_down(arguments)
        assert said is not None and "the command ran as nobody" in said
        assert os.getresuid() == (OWNER,) * 3 and os.getresgid() == (OWNER,) * 3 and os.getgroups() == [OWNER]
        with pytest.raises(PermissionError):
            os.setuid(0)
        with pytest.raises(PermissionError):
            (node / "outside" / "x").write_text("")
        assert os.environ["HOME"] != "/root" and os.umask(0) == 0o077
        return 0

    assert in_a_child(work) == 0


def test_p31_a_configuration_of_another_user_is_read_as_that_user(node: Path, certificate: bytes) -> None:
    (node / "capf.toml").write_text(f"[server]\nstate_directory = {json.dumps(str(node / 'outside'))}\n")
    os.chown(node / "capf.toml", OWNER, OWNER)
    status, _output, errors = capf("manufacturing-ca", "add", "--config", node / "capf.toml", given=certificate)
    assert status == 1 and f"the command ran as nobody, the owner of {node / 'capf.toml'}" in errors
    assert not list((node / "outside").iterdir())


def test_p31_in_a_directory_of_its_own_root_stays_root(node: Path) -> None:
    owned(node / "roots", 0)
    assert privileges.step_down(argparse.Namespace(command="keys", state_directory=node / "roots")) is None
    assert privileges.step_down(argparse.Namespace(command="keys", state_directory=node / "roots" / "new")) is None
    assert privileges.step_down(argparse.Namespace(command="lab", directory=node / "state")) is None
    assert privileges.step_down(argparse.Namespace(command="version")) is None
    assert privileges.step_down(argparse.Namespace(configuration_only=True, config=node / "capf.toml")) is None


def test_p31_a_state_directory_that_is_a_link_is_refused(node: Path) -> None:
    (node / "state").rename(node / "moved")
    (node / "state").symlink_to(node / "outside")
    status, _output, errors = take(node)
    assert status == 1 and f"{node / 'state'} is a link" in errors, errors
    assert not list((node / "outside").iterdir())


VERBS = {
    "state": ([], b""),
    "certificates": ([], b""),
    "manufacturing-ca add": ([], b"PEM"),
    "init": (["--administrator", "admin", "--password-file", "-"], b"long-enough\n"),
    "restore": (["--from", "/dev/null", "--plain"], b""),
}


@pytest.mark.parametrize("verb", [*VERBS, "keys take"])
def test_p31_each_link_is_named_and_none_followed(node: Path, certificate: bytes, verb: str) -> None:
    outside, state = Outside(node / "outside"), node / "state"
    deep = owned(state / "deep")
    links = [*outside.plant(state), outside.plant_hard(state, "hard"), outside.plant_hard(deep, "harder")]
    before = outside.look()
    options, given = VERBS.get(verb, ([], b""))
    if verb == "keys take":
        status, output, errors = take(node)
    else:
        given = certificate if given == b"PEM" else given
        status, output, errors = capf(*verb.split(), "--config", node / "capf.toml", *options, given=given)
    assert status == 1 and output == "", errors
    named = [f"{path} is a link" for path in links[:-2]] + [f"{path} is a hard link" for path in links[-2:]]
    assert sorted(errors.removeprefix("capf: ").split("; ")[0].split(", ")) == sorted(named)
    assert outside.look() == before and sorted(path.name for path in state.iterdir()) == sorted(
        [*FILES, *FOLDERS, "hard", "deep"]
    )


def test_p31_a_site_may_keep_links_among_its_own_files(node: Path) -> None:
    Outside(node / "outside").plant(owned(node / "state" / "own"), ["SEP001122334455.cnf.xml"], [])
    assert capf("state", "--config", node / "capf.toml") == (0, "absent\n", "")


def test_p31_a_certificate_is_all_that_leaves_the_state_directory(node: Path, certificate: bytes) -> None:
    for name in ("administration.crt", "capf.crt"):
        (node / "state" / name).write_bytes(b"a secret\n" + certificate)
        os.chown(node / "state" / name, OWNER, OWNER)
    status, output, _errors = capf("certificates", "--config", node / "capf.toml")
    assert status == 0
    assert json.loads(output) == {name: certificate.decode() for name in ("administration.crt", "capf.crt")}
    (node / "state" / "capf.crt").write_text("root:x:0:0:")
    status, output, errors = capf("certificates", "--config", node / "capf.toml")
    assert status == 1 and output == "" and "root:x" not in errors


def test_p31_manufacturing_cas_are_added_as_the_service_user(node: Path, certificate: bytes) -> None:
    add = ["manufacturing-ca", "add", "--config", node / "capf.toml"]
    assert len(json.loads(capf(*add, "--dry-run", given=certificate)[1])["changed"]) == 1
    assert not (node / "state" / "manufacturing").exists()
    assert len(json.loads(capf(*add, given=certificate)[1])["changed"]) == 1
    (made,) = (node / "state" / "manufacturing").iterdir()
    assert made.read_bytes() == certificate and made.stat().st_uid == OWNER
    assert capf(*add, given=certificate) == (0, '{"changed": []}\n', "")
    status, _output, errors = capf(*add, given=b"no certificate")
    assert status == 1 and "standard input" in errors


def test_p31_an_error_says_as_whom_the_command_ran(node: Path) -> None:
    password = node / "outside" / "password"
    password.write_text("long-enough\n")
    options = ["--administrator", "admin", "--password-file", password]
    status, _output, errors = capf("init", "--config", node / "capf.toml", *options)
    assert status == 1
    assert f"password-file: '{password}' cannot be read (Permission denied); give a readable file, or - for" in errors
    assert f"the command ran as nobody, the owner of {node / 'state'}" in errors


def test_p31_password_and_keys_come_through_standard_input(node: Path) -> None:
    made = ["--administrator", "admin", "--password-file", "-"]
    first, second = owned(node / "first", 0), owned(node / "second", 0)
    assert capf("init", "--state-directory", first, *made, given=b"long-enough\n")[0] == 0
    keys = capf("keys", "show", "--state-directory", first)[1].encode()
    options = ["--state-directory", second, *made, "--like", "-"]
    status, _output, errors = capf("init", *options, given=b"long-enough\n" + keys[:-9])
    assert status == 1 and "these are not the keys of a CAPF server" in errors and not list(second.iterdir())
    status, _output, errors = capf("init", *options, given=b"long-enough\n" + keys)
    assert status == 0 and sharing.files(second) == sharing.files(first), errors


def look(*options: object) -> list[str]:
    """Return the result of the role's check of its directories, for the service user nobody."""
    argv = [sys.executable, "-I", "-", "nobody", *map(str, options)]
    done = subprocess.run(argv, input=ROOT_ONLY.read_text(), capture_output=True, text=True, check=False)
    assert done.returncode == bool(done.stderr), done.stderr
    return done.stderr.splitlines()


def test_p31_root_writes_only_where_nobody_else_can(node: Path) -> None:
    assert look("--root", node / "server", node, "--service", node / "state", node / "new") == []
    state = node / "state"
    owner = f"{state} belongs to the user nobody, not to root"
    assert look("--root", state / "server") == [owner]
    assert look("--service", state / "tftp") == [owner]
    (node / "way").symlink_to(state)
    assert look("--root", node / "way" / "server") == [owner]
    (node / "link").symlink_to(node / "outside")
    assert look("--root", node / "link") == []
    assert look("--service", node / "link") == [f"{node / 'link'} is a link; name the directory itself"]
    owned(node / "others", OWNER - 1)
    assert look("--service", node / "others") == [
        f"{node / 'others'} belongs to the user {OWNER - 1}, not to the service user"
    ]
    (node / "outside").chmod(0o777)
    assert look("--root", node / "outside" / "x") == [f"{node / 'outside'} is writable by everybody"]
    (node / "outside").chmod(0o1777)
    assert look("--root", node / "outside" / "x") == []


PATHS_OF_THE_SERVICE_USER = ("capf_server_state_directory", "capf_server_tftp_directory")
BY_A_PLAIN_PROCESS = {"find_process.yml", "process.yml", "start_process.yml", "stop_process.yml"}
COMMAND = "ansible.builtin.command"


def tasks_of(content: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each task of a file of tasks or plays."""
    for item in content:
        inner = [
            part
            for name in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks")
            for part in item.get(name, [])
        ]
        yield from tasks_of(inner)
        if not inner:
            yield item


def as_root() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield position, module and options of every task that root runs on a host of the server."""
    paths = [*sorted((ROLE / "tasks").glob("*.yml")), ROLE / "handlers" / "main.yml"]
    paths += [ROOT / "playbooks" / name for name in ("deploy.yml", "restore.yml")]
    for path in paths:
        for task in tasks_of(yaml.safe_load(path.read_text())):
            plain = path.name in BY_A_PLAIN_PROCESS or "capf_server_run_as == 'process'" in str(task.get("when"))
            module = next((name for name in task if name.count(".") == 2), None)
            if module is not None and not plain:
                options = task[module] if isinstance(task[module], dict) else {}
                yield f"{path.name}: {task['name']}", module, options


def test_p31_no_task_acts_as_root_where_the_service_user_can_put_a_link() -> None:
    found = list(as_root())
    assert len(found) > 40
    for where, module, options in found:
        assert "recurse" not in options, where
        assert module not in ("ansible.builtin.fetch", "ansible.builtin.slurp", "ansible.builtin.script"), where
        if module == COMMAND or not any(name in str(options) for name in PATHS_OF_THE_SERVICE_USER):
            continue
        if module == "ansible.builtin.user":
            assert options["create_home"] is False, where
            continue
        if module == "ansible.builtin.debug":
            continue
        assert module == "ansible.builtin.file", where
        assert options["path"] in [f"{{{{ {name} }}}}" for name in PATHS_OF_THE_SERVICE_USER], where
        if where == "remove.yml: Remove the data":  # nothing runs as the service user then
            assert options == {"path": "{{ capf_server_state_directory }}", "state": "absent"}
            continue
        assert options["state"] == "directory" and options["follow"] is False, where


def test_p31_a_command_in_the_state_directory_is_the_servers_own() -> None:
    named = [
        (where, options)
        for where, module, options in as_root()
        if module in (COMMAND, "ansible.builtin.shell") and "state_directory" in str(options)
    ]
    assert len(named) >= 3
    for where, options in named:
        argv = str(options.get("argv"))
        assert "current/bin/capf" in argv or ("root_only" in str(options.get("stdin")) and "--service" in argv), where


def test_p31_a_plain_process_of_root_uses_no_directory_of_another_user(node: Path) -> None:
    name = "Check that the state directory belongs to the user of the process"
    (task,) = (task for task in yaml.safe_load((ROLE / "tasks/main.yml").read_text()) if task["name"] == name)
    assert task["when"] == "capf_server_run_as == 'process'" and task["tags"] == ["always"]

    def check(directory: Path) -> tuple[int, str]:
        command = task["ansible.builtin.shell"]["cmd"].replace(
            "{{ capf_server_state_directory | quote }}", str(directory)
        )
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert check(node / "state") == (1, f"{node}/state belongs to another user\n")
    assert check(node / "outside") == check(node / "none") == (0, "")
