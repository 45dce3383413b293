# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real server: its ports, its files, its commands, and the effect of restarts (R3, R11, R13, R24, R25)."""

from __future__ import annotations

import http.client
import signal
import socket
import sqlite3
import ssl
import subprocess
import time
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from capf.phone_session.wire import Command, Reader, Tag
from integration.conftest import MakeWorld
from support.client import Client
from support.node import CAPF, RunningNode

A = "SEP00000000000A"


def auth_request(host: str, port: int) -> dict[int, bytes]:
    """Connect as a phone does; return the elements of the server's first message."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection((host, port), timeout=5) as raw, context.wrap_socket(raw) as connection:
        reader = Reader()
        reader.feed(connection.recv(4096))
        message = reader.next_message()
    assert message is not None and message.command is Command.AUTH_REQUEST
    return dict(message.elements)


def test_r24_capf_is_installed_but_not_activated(node: RunningNode) -> None:
    assert node.ok("GET", "/service")["activated"] is False
    node.ok("PUT", "/enterprise-parameters", {"parameters": {"CAPF Phone Port": node.capf_port}})
    with pytest.raises(ConnectionRefusedError):
        auth_request("127.0.0.1", node.capf_port)
    assert node.ok("PUT", "/service", {"activated": True})["changed"] is True
    assert auth_request("127.0.0.1", node.capf_port)[Tag.VERSION] == b"\x03"
    assert node.ok("PUT", "/service", {"activated": True})["changed"] is False
    node.ok("PUT", "/service", {"activated": False})
    with pytest.raises(ConnectionRefusedError):
        auth_request("127.0.0.1", node.capf_port)


def test_r24_activation_survives_a_restart_of_the_process(node: RunningNode) -> None:
    node.activate()
    assert node.stop() == 0
    node.start()
    assert auth_request("127.0.0.1", node.capf_port)
    assert node.ok("GET", "/service")["running"] is True


def test_r13_capf_is_activated_on_the_first_node_only(tmp_path: Path) -> None:
    further = RunningNode(tmp_path / "node2", first_node=False).start()
    try:
        status, answer = further.api("PUT", "/service", {"activated": True})
        assert (status, answer["error"]["code"]) == (409, "first_node_only")
        assert "first node only" in answer["error"]["message"]
        assert further.ok("GET", "/service")["activated"] is False
    finally:
        further.stop()


def test_r11_ipv6_phones_are_served_only_while_enable_ipv6_is_true(node: RunningNode) -> None:
    node.activate()
    with pytest.raises(ConnectionRefusedError):
        auth_request("::1", node.capf_port)
    node.ok("PUT", "/enterprise-parameters", {"parameters": {"Enable IPv6": True}})
    with pytest.raises(ConnectionRefusedError):
        auth_request("::1", node.capf_port)
    node.ok("POST", "/service/restart", {})
    assert auth_request("::1", node.capf_port)
    assert auth_request("127.0.0.1", node.capf_port)


def test_r25_parameters_are_active_only_while_capf_is_activated(node: RunningNode) -> None:
    assert node.ok("GET", "/service-parameters")["active"] is False
    node.activate()
    assert node.ok("GET", "/service-parameters")["active"] is True


def test_r25_a_change_is_in_force_after_a_restart_of_the_service(make_world: MakeWorld) -> None:
    node, lab = make_world([{"device_name": A, "authentication_mode": "By Null String", "key_size": 1024}])
    years = {"parameters": {"Duration Of Certificate Validity": 1}}

    def lifetime_in_days() -> int:
        node.schedule(A, force=True)
        lab.reset(A)
        node.wait(A)
        held = lab.flash(A).lsc
        assert held is not None
        return (held.certificate.not_valid_after_utc - held.certificate.not_valid_before_utc).days

    assert lifetime_in_days() == 1826
    assert node.ok("PUT", "/service-parameters", years)["restart_required"] is True
    shown = {item["name"]: item for item in node.ok("GET", "/service-parameters")["parameters"]}
    assert shown["Duration Of Certificate Validity"]["in_force"] == 5
    assert lifetime_in_days() == 1826
    node.ok("POST", "/service/restart", {})
    assert lifetime_in_days() == 365


def test_a_port_that_is_taken_is_reported_and_nothing_else_breaks(node: RunningNode) -> None:
    node.ok("PUT", "/enterprise-parameters", {"parameters": {"CAPF Phone Port": node.capf_port}})
    with socket.create_server(("127.0.0.1", node.capf_port)):
        status, answer = node.api("PUT", "/service", {"activated": True})
        assert status == 409 and "cannot listen" in answer["error"]["message"]
    assert node.ok("PUT", "/service", {"activated": True})
    assert auth_request("127.0.0.1", node.capf_port)


def test_r3_the_state_directory_holds_the_certificate_under_all_its_names(node: RunningNode) -> None:
    shown = node.ok("GET", "/service")["capf_certificate"]
    for name in (*shown["file_names"], "capf.crt"):
        assert (node.state / name).read_text() == shown["pem"]
    subject_hash = subprocess.run(
        ["openssl", "x509", "-noout", "-subject_hash", "-in", node.capf_certificate],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert f"{subject_hash}.0" in shown["file_names"]
    der = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-in", node.state / "CAPF.cer"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert der.stdout == shown["pem"]
    for name in ("capf.key", "strings.key", "administration.key"):
        assert (node.state / name).stat().st_mode & 0o777 == 0o600


def test_r3_phones_fetch_the_certificate_and_nothing_else_of_the_state(node: RunningNode) -> None:
    def fetch(path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", node.files_port, timeout=5)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status

    for name in node.ok("GET", "/service")["capf_certificate"]["file_names"]:
        assert fetch(f"/{name}") == 200
    for path in ("/capf.key", "/capf.db", "/../state/capf.key", "/%2e%2e/state/capf.key", "/", "/SEP1.cnf.xml"):
        assert fetch(path) == 404


def test_only_one_server_runs_on_a_state_directory(node: RunningNode) -> None:
    second = subprocess.run([CAPF, "serve", "--config", node.config], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1] == f"capf: another capf server runs on {node.state}"


def test_p36_a_capf_key_that_others_can_read_stops_capf_alone(node: RunningNode) -> None:
    node.activate()
    node.stop()
    (node.state / "capf.key").chmod(0o644)
    shown = node.start().ok("GET", "/service")
    assert not shown["running"] and "its mode must be 0600" in shown["problem"]


def test_an_administration_key_that_others_can_read_stops_the_start(node: RunningNode) -> None:
    node.stop()
    (node.state / "administration.key").chmod(0o644)
    argv: list[str | Path] = [CAPF, "serve", "--config", node.config]
    failed = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert failed.returncode == 1 and "its mode must be 0600" in failed.stderr


def test_init_refuses_what_is_there_and_short_passwords(tmp_path: Path, node: RunningNode) -> None:
    password = tmp_path / "password"
    password.touch(0o600)
    password.write_text("short\n")
    argv: list[str | Path] = [
        CAPF,
        "init",
        "--administrator",
        "admin",
        "--password-file",
        password,
        "--state-directory",
    ]
    short = subprocess.run([*argv, tmp_path / "new"], capture_output=True, text=True, check=False)
    assert (
        short.returncode == 1
        and "at least 8 printable ASCII characters" in short.stderr
        and not (tmp_path / "new").exists()
    )
    password.write_text("long-enough\n")
    there = subprocess.run([*argv, node.state], capture_output=True, text=True, check=False)
    assert there.returncode == 1 and "already contains" in there.stderr


@pytest.mark.parametrize(
    ("content", "mode", "options", "wrong"),
    [
        (b"", 0o600, {}, "password: the password is not allowed; give at least 8 printable ASCII characters"),
        (b"m\xfcnchen-muenchen\n", 0o600, {}, "is not valid UTF-8; save it as UTF-8"),
        ("münchen-münchen\n".encode(), 0o600, {}, "password: the password is not allowed; give at least 8"),
        (b"long-enough\n", 0o644, {}, "let only its owner read it (chmod 0600)"),
        (b"long-enough\n", 0o600, {"name": ""}, "name: '' is refused; allowed: a host name or an IP address"),
        (b"long-enough\n", 0o600, {"name": "münchen"}, "name: 'münchen' is refused; allowed: a host name or an IP"),
        (b"long-enough\n", 0o600, {"name": "x" * 65}, "of at most 64 characters"),
        (b"long-enough\n", 0o600, {"administrator": ""}, "administrator: '' is refused; allowed: 1 to 200 printable"),
        (b"long-enough\n", 0o600, {"administrator": "a:b"}, "administrator: 'a:b' is refused; allowed: 1 to 200"),
        (
            b"long-enough\n",
            0o600,
            {"like": "/nowhere"},
            "like: '/nowhere' cannot be read (No such file or directory); give",
        ),
        (b"long-enough\n", 0o600, {"like": "/dev/null"}, "these are not the keys of a CAPF server"),
    ],
)
def test_init_makes_nothing_of_what_nobody_could_log_in_with(
    tmp_path: Path, content: bytes, mode: int, options: dict[str, str], wrong: str
) -> None:
    password, state = tmp_path / "password", tmp_path / "state"
    password.touch(mode)
    password.write_bytes(content)
    given = {"administrator": "admin", "password-file": password, "state-directory": state, **options}
    argv = [str(part) for name, value in given.items() for part in (f"--{name}", value)]
    done = subprocess.run([CAPF, "init", *argv], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("capf: ") and wrong in done.stderr, done
    assert done.stderr.count("\n") == 1 and not state.exists()


def test_check_names_the_line_of_a_configuration_that_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "capf.toml"
    path.write_bytes(b"[server]\nstate_directory = '/M\xfcnchen'\n")
    done = subprocess.run([CAPF, "check", "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"capf: file: {path} line 2 is not valid UTF-8; save the file as UTF-8\n"


def test_check_names_what_is_wrong_in_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "capf.toml"
    path.write_text("[server]\nstate_directory = '/x'\n[files]\nport = 0\n")
    done = subprocess.run([CAPF, "check", "--config", path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "capf: files.port: '0' is refused; allowed: a whole number from 1 to 65535\n"


def test_a_silent_client_does_not_delay_a_phone(node: RunningNode) -> None:
    node.activate()
    silent = [socket.create_connection(("127.0.0.1", node.capf_port)) for _index in range(200)]
    try:
        assert auth_request("127.0.0.1", node.capf_port)
    finally:
        for connection in silent:
            connection.close()


def test_a_device_name_with_a_newline_forges_no_log_line(node: RunningNode) -> None:
    node.activate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", node.capf_port), timeout=5) as raw,
        context.wrap_socket(raw) as connection,
    ):
        session = connection.recv(4096)[2:6]
        name = b"SEP\nlevel=ERROR forged\0"
        payload = b"\x07\0\x01\x03\x0d" + len(name).to_bytes(2, "big") + name
        connection.sendall(b"\x55\x02" + session + len(payload).to_bytes(2, "big") + payload)
        assert connection.recv(4096)[1] == Command.END_SESSION
    assert "\nlevel=ERROR forged" not in node.log.read_text()
    assert "forged" in node.log.read_text()


def test_p20_tls_policy(tmp_path: Path) -> None:
    versions = {
        "1.0": ssl.TLSVersion.TLSv1,
        "1.1": ssl.TLSVersion.TLSv1_1,
        "1.2": ssl.TLSVersion.TLSv1_2,
        "1.3": ssl.TLSVersion.TLSv1_3,
    }
    matrix = {
        False: {"capf": ["1.2", "1.3"], "api": ["1.2", "1.3"]},
        True: {"capf": list(versions), "api": ["1.2", "1.3"]},
    }
    for allowed, wanted in matrix.items():
        node = RunningNode(tmp_path / f"node{allowed}")
        text = node.config.read_text().replace("[capf]\n", f"[capf]\nallow_tls_1_0 = {str(allowed).lower()}\n")
        node.config.write_text(text)
        node.start().activate()
        try:
            for port, name in ((node.capf_port, "capf"), (node.port, "api")):
                spoken = [text for text, version in versions.items() if speaks(port, version)]
                assert spoken == wanted[name], (allowed, name)
        finally:
            node.stop()


def speaks(port: int, version: ssl.TLSVersion) -> bool:
    """Return whether a port accepts this version of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw, context.wrap_socket(raw):
            return True
    except ssl.SSLError:
        return False


def test_p22_the_audit_table_is_verified_by_command(node: RunningNode) -> None:
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    argv: list[str | Path] = [CAPF, "audit", "verify", "--config", node.config]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "the audit table is unchanged\n"
    with closing(sqlite3.connect(node.state / "capf.db", isolation_level=None)) as database:
        database.execute("UPDATE audit SET actor = 'somebody else'")
    failed = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert failed.returncode == 1 and "row 1 does not match" in failed.stderr


def test_p27_a_newer_schema_is_refused_by_name(node: RunningNode) -> None:
    node.stop()
    with closing(sqlite3.connect(node.state / "capf.db", isolation_level=None)) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    failed = subprocess.run([CAPF, "serve", "--config", node.config], capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == "capf: the database has schema 9999, which is newer than this server"


def test_p23_a_second_signal_ends_at_once(node: RunningNode) -> None:
    node.config.write_text(node.config.read_text().replace("drain_seconds = 1", "drain_seconds = 300"))
    node.stop()
    node.start().activate()
    with closing(Client(node.capf_port, A)):
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert node.process.poll() is None
        begin = time.monotonic()
        assert node.stop(signal.SIGTERM) == 1
        assert time.monotonic() - begin < 5


def test_sigterm_ends_the_process_politely(node: RunningNode) -> None:
    node.activate()
    assert node.stop(signal.SIGTERM) == 0
    assert "event=stopped" in node.log.read_text()
