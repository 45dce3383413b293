# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rollout playbook against a real server and a real lab: waves, the failure limit, running again (R16)."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from capf.administration.backup import sealing
from integration.conftest import MakeWorld
from support import spreadsheet
from support.archives import PASSPHRASE
from support.lab import RunningLab
from support.node import RunningNode
from support.playbooks import playbook
from support.plays import ansible_playbook, extra_vars, interpreter
from support.requesting import PASSWORD

DEACTIVATE = """
import base64, pathlib, ssl, sys, urllib.request
port, certificate, password = sys.argv[1:4]
login = base64.b64encode(b"admin:" + pathlib.Path(password).read_bytes().strip()).decode()
headers = {"Authorization": "Basic " + login, "Content-Type": "application/json"}
url = f"https://127.0.0.1:{port}/api/v1/service"
request = urllib.request.Request(url, b'{"activated": false}', headers, method="PUT")
urllib.request.urlopen(request, context=ssl.create_default_context(cafile=certificate))
"""
NAMES = [f"SEP0000000000{index:02X}" for index in range(9)]


def phones(**behaviours: str) -> list[dict[str, Any]]:
    """Return nine phones, three of them by string, in order of their names."""
    return [
        {
            "device_name": name,
            "authentication_mode": "By Authentication String" if index % 3 == 0 else "By Null String",
            "key_order": "EC Only",
            "ec_key_size": 256,
            "lab_behaviour": behaviours.get(f"p{index}", ""),
        }
        for index, name in enumerate(NAMES)
    ]


def rollout(node: RunningNode, lab: RunningLab, *options: str, **variables: Any) -> tuple[int, str]:
    """Run the playbook; returns its exit status and output."""
    given = {
        "ansible_python_interpreter": interpreter(),
        "capf_port": node.port,
        "capf_password": PASSWORD,
        "capf_ca_path": str(node.state / "administration.crt"),
        "lsc_rollout_csv_file": str(lab.phones),
        "lsc_rollout_directory": str(node.directory / "rollout"),
        "lsc_rollout_wave_size": "3",
        "lsc_rollout_wave_seconds": 20,
        "lsc_rollout_retries": 0,
        "lsc_rollout_progress_interval": 1,
        **variables,
    }
    return ansible_playbook("ucm.capf.rollout", *extra_vars(node.directory, given), *options, cwd=node.directory)


def summary(node: RunningNode) -> dict[str, Any]:
    """Return the summary that the rollout wrote."""
    return dict(json.loads((node.directory / "rollout" / "summary.json").read_text()))


def reports(node: RunningNode) -> Path:
    """Return the directory of the reports of the latest rollout."""
    return Path(summary(node)["directory"])


def world(make_world: MakeWorld, tmp_path: Path, **behaviours: str) -> tuple[RunningNode, RunningLab]:
    """Create a node and a lab whose users read the strings that the rollout writes."""
    strings = tmp_path / "node" / "rollout" / "strings"
    return make_world(phones(**behaviours), "--strings", strings)


def test_r16_phones_get_their_lsc_in_waves_and_a_second_run_changes_nothing(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    node, lab = world(make_world, tmp_path)
    status, output = rollout(node, lab)
    assert status == 0, output
    assert output.count("Wait for wave") == 3
    assert re.search(r"done 3, failed 0, in flight 0, [\d.]+ a minute, time left \d+ s", output)
    first = summary(node)
    assert (first["phones"], first["installed"], first["failed"], first["scheduled"]) == (9, 9, 0, 9)
    status, output = rollout(node, lab)
    assert status == 0 and re.search(r"changed=0 ", output), output
    assert (summary(node)["skipped"], summary(node)["scheduled"]) == (9, 0)


def test_r4_every_lsc_verifies_and_no_private_key_leaves_its_phone(make_world: MakeWorld, tmp_path: Path) -> None:
    node, lab = world(make_world, tmp_path)
    assert rollout(node, lab)[0] == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    contents = {path: path.read_bytes() for path in files}
    for name in NAMES:
        path = lab.directory / "phones" / name / "lsc.pem"
        verify: list[str | Path] = ["openssl", "verify", "-CAfile", node.capf_certificate, path]
        assert subprocess.run(verify, capture_output=True, text=True, check=True).stdout.endswith(": OK\n")
        held = lab.flash(name).lsc
        assert held is not None and held.certificate.public_key() == held.key.public_key()
        der = held.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        secret = held.key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
        pem_line = held.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).splitlines()[1]
        holders = {found for found, data in contents.items() if der in data or secret in data or pem_line in data}
        assert holders == {path}


def test_r16_too_many_failures_stop_the_rollout_and_a_later_run_takes_what_is_left(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    node, lab = world(make_world, tmp_path, p0="wrong_string")
    status, output = rollout(node, lab, lsc_rollout_failure_limit="0")
    assert status == 2
    assert "wave 1 stopped the rollout: 1 of 3 phones not done, 0 allowed" in output
    reported = (
        f"1 failed: Upgrade Failed: Invalid Authentication String (a wrong string): {NAMES[0]}. To do: send the user"
    )
    assert reported in output, output
    assert output.count("Wait for wave") == 1
    assert (summary(node)["installed"], summary(node)["failed"]) == (2, 1)
    assert (reports(node) / "capf-report.csv").exists()
    assert node.phone(NAMES[3])["operation_status"] == "None"
    status, output = rollout(node, lab, lsc_rollout_failure_limit="34%")
    assert status == 0, output
    assert (summary(node)["installed"], summary(node)["skipped"]) == (8, 2)


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE], ids=["plain", "encrypted"])
def test_p34_the_rollouts_own_backup_is_plain_with_one_warning_or_encrypted(
    make_world: MakeWorld, tmp_path: Path, passphrase: str
) -> None:
    node, lab = make_world(phones()[1:2])
    status, output = rollout(node, lab, lsc_rollout_backup_passphrase=passphrase)
    assert status == 0 and PASSPHRASE not in output, output
    (archive,) = (node.directory / "rollout").glob("capf-127*")
    assert archive.stat().st_mode & 0o777 == 0o600
    assert " ".join(output.split()).count("is not encrypted") == (0 if passphrase else 1), output
    with archive.open("rb") as file:
        assert b"".join(sealing.opened(file, passphrase or None)())


def test_r22_a_capf_that_does_not_run_stops_the_rollout_before_anything_changes(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    node, lab = world(make_world, tmp_path)
    node.ok("PUT", "/service", {"activated": False})
    status, output = rollout(node, lab)
    words = " ".join(output.split())
    assert status == 2 and "CAPF is not ready. CAPF service: CAPF is not activated. To do: ucm.capf.capf_" in words
    assert node.phone(NAMES[0])["operation_status"] == "None"


def test_check_mode_shows_the_plan_and_changes_nothing(make_world: MakeWorld, tmp_path: Path) -> None:
    node, lab = world(make_world, tmp_path)
    status, output = rollout(node, lab, "--check")
    assert status == 0 and "9 phones need an LSC" in output, output
    assert node.phone(NAMES[0])["operation_status"] == "None"
    assert not (node.directory / "rollout").exists()


def joined(output: str) -> str:
    """Return an output on one line."""
    return " ".join(output.split())


def plan_of(output: str) -> list[str]:
    """Return the lines of the plan that a run shows, without its times."""
    shown = re.search(r'Show the plan.*?"msg": (\[.*?\n    \])', output, re.DOTALL)
    assert shown, output
    return [line for line in json.loads(shown[1]) if not line.startswith("Starts at")]


def interrupt(node: RunningNode) -> None:
    """Set the last heartbeat of the leading run to two minutes ago."""
    with closing(sqlite3.connect(node.state / "capf.db")) as database:
        database.execute("UPDATE rollouts SET seen_at = seen_at - 120")
        database.commit()


def test_r16_check_mode_shows_what_the_next_run_goes_on_with(make_world: MakeWorld, tmp_path: Path) -> None:
    node, lab = world(make_world, tmp_path)
    run = {"runner": "killed", "rollout_id": 1}
    begun = {"runner": "killed", "names": NAMES, "wave_size": "3", "wave_seconds": 20, "spread_by": "none"}
    node.ok("PUT", "/rollouts/lsc-rollout", begun)
    first = node.ok("POST", "/rollouts/lsc-rollout/waves", run)["wave"]["phones"]
    lab.reset(*first)
    node.wait(*[name for name in first if NAMES.index(name) % 3])
    status, live = rollout(node, lab, "--check")
    assert status == 0 and re.search(r"another run of the rollout 'lsc-rollout' was active \d+ s ago", joined(live)), (
        live
    )
    assert node.ok("GET", "/rollouts/lsc-rollout")["counts"]["waiting"] == 6
    interrupt(node)
    status, check = rollout(node, lab, "--check")
    assert status == 0 and plan_of(check) == plan_of(live), check
    status, real = rollout(node, lab)
    assert status == 0, real
    assert (
        plan_of(real)
        == plan_of(check)
        == [
            "Resuming the rollout lsc-rollout: 9 phones: 6 waiting, 1 in flight, 2 done.",
            "7 phones need an LSC, 2 skipped.",
            "Skipped because:",
            "  2: Upgrade Success",
            "3 waves: 1, 3, 3 phones.",
        ]
    )
    assert summary(node)["installed"] == 9


def test_r22_a_capf_that_is_deactivated_between_waves_holds_the_rollout_until_it_is_fixed(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    node, lab = world(make_world, tmp_path)
    password = node.directory / "password"
    password.write_text(PASSWORD)
    files = (node.state / "administration.crt", password)
    (node.directory / "hook").write_text(f"#!{sys.executable}\n{DEACTIVATE}")
    (node.directory / "hook").chmod(0o755)
    hook = ["./hook", str(node.port), *map(str, files)]  # in the directory in which the command is typed (P35)
    status, output = rollout(node, lab, lsc_rollout_registration_command=hook)
    words = " ".join(output.split())
    assert status == 2 and "no wave is started: CAPF service: CAPF is not activated. To do: ucm.capf.capf_" in words
    assert (summary(node)["state"], summary(node)["installed"]) == ("running", 3)
    assert (reports(node) / "rollout.html").exists()
    node.ok("PUT", "/service", {"activated": True})
    status, output = rollout(node, lab)
    assert status == 0 and "another run leads the rollout" not in output, output
    assert (summary(node)["state"], summary(node)["installed"]) == ("done", 9)


def test_r16_every_second_try_is_taken_and_each_site_has_its_strings_in_a_file_of_its_own(node: RunningNode) -> None:
    node.activate()
    sites = {NAMES[0]: "Floor 1", NAMES[1]: "Floor/1"}
    by_string = {"authentication_mode": "By Authentication String"}
    known = [{"device_name": name, "device_pool": site, **by_string} for name, site in sites.items()]
    node.ok("POST", "/phones", {"phones": known})
    pace = {"open_sessions": 1, "wave_seconds": 1, "retries": 1, "failure_limit": "100%", "backup": False}
    status, output = playbook(
        node, "rollout", lsc_rollout_phones_from={"phones": list(sites)}, lsc_rollout_reset=False,
        **{f"lsc_rollout_{name}": value for name, value in pace.items()},
    )  # fmt: skip
    assert status == 0, output
    assert (summary(node)["state"], len(summary(node)["waves"])) == ("done", 4)
    files = sorted((node.directory / "rollout" / "strings").glob("Floor_1-*.csv"))
    found = {row["Device Name"]: row["Device Pool"] for file in files for row in spreadsheet.opened(file.read_text())}
    assert len(files) == 2 and found == sites and {file.stat().st_mode & 0o777 for file in files} == {0o600}


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_r22_a_server_that_cannot_reset_phones_stops_the_rollout_before_anything_changes(
    node: RunningNode, options: tuple[str, ...]
) -> None:
    node.stop()
    node.configure("reset", command=[]).start().activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": NAMES[0]}]})
    status, output = playbook(node, "rollout", *options, lsc_rollout_phones_from={"phones": NAMES[:1]})
    words = " ".join(output.split())
    assert status == 2, output
    assert "no reset command is configured on this server. To do: set capf_server_reset_command" in words
    assert node.phone(NAMES[0])["operation_status"] == "None" and node.ok("GET", "/rollouts")["rollouts"] == []
    reset_by_others = (*options, "-e", "lsc_rollout_reset=false")
    pace = {"lsc_rollout_wave_seconds": 1, "lsc_rollout_retries": 0, "lsc_rollout_failure_limit": "100%"}
    status, output = playbook(node, "rollout", *reset_by_others, lsc_rollout_phones_from={"phones": NAMES[:1]}, **pace)
    assert status == 0, output


def test_p35_what_cannot_be_written_later_is_refused_before_the_rollout_begins(node: RunningNode) -> None:
    node.activate()
    node.ok("POST", "/phones", {"phones": [{"device_name": NAMES[0]}]})
    place = node.directory
    (place / "file").mkdir()
    (place / "file/strings").write_text("")
    (place / "taken/summary.json").mkdir(parents=True)
    (place / "command").write_text("not to be run")
    for variables, error in (
        ({"directory": str(place / "file")}, f"{place}/file/strings"),
        (
            {"directory": str(place / "taken")},
            f"{place}/taken/summary.json: this is a directory, and the rollout has to write a file with its name",
        ),
        ({"directory": "/proc/night"}, "/proc/night"),
        ({"registration_command": ["./command"]}, f"_registration_command: '{place}/command' does not exist"),
    ):
        given = {f"lsc_rollout_{name}": value for name, value in variables.items()}
        status, output = playbook(
            node, "rollout", lsc_rollout_reset=False, lsc_rollout_phones_from={"phones": NAMES[:1]}, **given
        )
        assert status == 2 and error in " ".join(output.split()), output
    assert node.ok("GET", "/rollouts") == {"rollouts": []}
    assert node.phone(NAMES[0])["certificate_operation"] == "No Pending Operation"


def test_a_variable_that_is_missing_is_named(node: RunningNode) -> None:
    given = {"capf_password": PASSWORD, "capf_ca_path": "/none"}
    status, output = ansible_playbook("ucm.capf.rollout", *extra_vars(node.directory, given), cwd=node.directory)
    assert status == 2
    assert "'lsc_rollout_csv_file' is undefined" in " ".join(output.split())


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({}, "any of the following are missing: csv_file, phones, criteria"),
        ({"phones": NAMES[:1], "criteria": []}, "mutually exclusive: csv_file|phones|criteria"),
        ({"csv": "phones.csv"}, "csv"),
    ],
)
def test_phones_come_from_one_source(node: RunningNode, sources: dict[str, Any], words: str) -> None:
    node.activate()
    status, output = playbook(node, "rollout", lsc_rollout_reset=False, lsc_rollout_phones_from=sources)
    assert status == 2 and words in " ".join(output.split()), output
    assert node.ok("GET", "/rollouts") == {"rollouts": []}


def test_phones_of_a_list_are_registered_where_that_is_asked(node: RunningNode) -> None:
    node.activate()
    pace = {"lsc_rollout_wave_seconds": 1, "lsc_rollout_retries": 0, "lsc_rollout_failure_limit": "100%"}
    source = {"phones": NAMES[:2], "register_phones": True}
    for options in (("--check",), ()):
        status, output = playbook(
            node, "rollout", *options, lsc_rollout_reset=False, lsc_rollout_phones_from=source, **pace
        )
        assert status == 0 and "2 phones need an LSC" in " ".join(output.split()), output
    assert (summary(node)["phones"], node.phone(NAMES[1])["device_security_mode"]) == (2, "Non Secure")
