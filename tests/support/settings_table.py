# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every setting of the configuration file: how to change it, and how a client observes the change (P24)."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from capf.phone_session.wire import Command, Tag
from capf_lab.credentials import MODE_MIC_FIRST, auth_response
from capf_lab.flash import Flash, Identity
from capf_lab.manufacturing import Maker
from support.canary import STRING
from support.client import Client
from support.enrolment import PHONE, SETTINGS, enrol_by_retries, schedule
from support.node import RunningNode, free_ports

Observe = Callable[[RunningNode], object]
PORTS = free_ports(2)
_SHA256_WITH_RSA, _SHA1_WITH_RSA = bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105")


@dataclass(frozen=True)
class Case:
    """One setting: its place in the file, a changed value, and the observations with the base value and with this one.

    ``base``: other settings that the observation needs. ``tell``: the attribute of the test's node with this value.
    ``{directory}`` in a value is the node's directory. ``carry`` moves the files that the new value refers to.
    """

    table: str
    key: str
    value: Any
    observe: Observe
    before: object
    after: object
    base: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    tell: str = ""
    carry: Callable[[RunningNode], object] | None = None
    alone: bool = False


def change(node: RunningNode, values: Mapping[tuple[str, str], Any]) -> None:
    """Write settings into the node's configuration file."""
    document = tomllib.loads(node.config.read_text())
    for (table, key), value in values.items():
        given = json.loads(json.dumps(value).replace("{directory}", str(node.directory)))
        document.setdefault(table, {})[key] = given
    lines = []
    for table, settings in document.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    node.config.write_text("\n".join(lines) + "\n")


def reachable(host: str, port: int) -> bool:
    """Return whether a server listens there."""
    try:
        socket.create_connection((host, port), timeout=10).close()
    except OSError:
        return False
    return True


def served(node: RunningNode, first: str, second: str) -> bool:
    """Return whether two sessions from two addresses are served concurrently."""
    connections = [socket.create_connection(("127.0.0.1", node.capf_port), 10, (host, 0)) for host in (first, second)]
    try:
        for connection in connections:
            _tls().wrap_socket(connection).close()
    except OSError:
        return False
    finally:
        for connection in connections:
            connection.close()
        while node.ok("GET", "/service")["sessions_open"]:
            time.sleep(0.05)
    return True


def _tls(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    return context


def speaks_tls_1_0(node: RunningNode) -> bool:
    """Return whether an old phone's handshake succeeds."""
    with socket.create_connection(("127.0.0.1", node.capf_port), timeout=10) as raw:
        try:
            _tls(ssl.TLSVersion.TLSv1).wrap_socket(raw).close()
        except OSError:
            return False
    return True


def hangs_up_on_silence(node: RunningNode) -> bool:
    """Return whether a client that never starts its handshake is closed within 6 seconds."""
    with socket.create_connection(("127.0.0.1", node.capf_port), timeout=6) as raw:
        try:
            return raw.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


def hangs_up_on_silence_after_tls(node: RunningNode) -> bool:
    """Return whether a client that does not send a claim is closed within 6 seconds."""
    client = Client(node.capf_port, PHONE)
    time.sleep(6)
    open_now = node.ok("GET", "/service")["sessions_open"]
    client.close()
    return not open_now


def two_of_a_device(node: RunningNode) -> bool:
    """Return whether a device's second session reaches the record while its first one is open."""
    schedule(node, authentication_mode="By Authentication String")
    string = node.phone(PHONE)["authentication_string"]
    first, second = Client(node.capf_port, PHONE), Client(node.capf_port, PHONE)
    assert first.authenticate(string).command is Command.KEY_GENERATE_REQUEST
    assert second.authenticate(string).command is Command.END_SESSION
    first.close()
    second.close()
    return 'capf_refusals_total{reason="in another session"} 1.0' in node.api("GET", "/metrics", base="")[1]


def drains(node: RunningNode) -> bool:
    """Return whether a session continues some seconds after SIGTERM."""
    schedule(node)
    client = Client(node.capf_port, PHONE)
    client.authenticate()
    assert node.process is not None
    node.process.send_signal(signal.SIGTERM)
    time.sleep(5)
    try:
        client.send_key()
        return client.confirm().elements[Tag.REASON] == b"\x01"
    except (EOFError, OSError):
        return False
    finally:
        client.close()


def configuration(node: RunningNode) -> str:
    """Return the phone's configuration file."""
    node.ok("POST", "/phones", {"phones": [{"device_name": PHONE}]})
    with urllib.request.urlopen(f"{node.files_server}/{PHONE}.cnf.xml", timeout=10) as answer:
        return str(answer.read().decode())


def put_own_file(node: RunningNode) -> None:
    """Write an administrator's own configuration file of the phone to the directory of the new setting."""
    (node.directory / "mine").mkdir()
    (node.directory / "mine" / f"{PHONE}.cnf.xml").write_text("<device><vendorConfig>ours</vendorConfig></device>")


def published(node: RunningNode) -> bool:
    """Return whether the phone's configuration file appears in the TFTP server's directory."""
    node.ok("POST", "/phones", {"phones": [{"device_name": PHONE}], "state": "absent"})
    node.ok("POST", "/phones", {"phones": [{"device_name": PHONE}]})
    path, limit = node.directory / "tftp" / f"{PHONE}.cnf.xml", time.monotonic() + 10
    while (found := path.exists()) is False and path.parent.exists() and time.monotonic() < limit:
        time.sleep(0.1)
    return found


def activates(node: RunningNode) -> int:
    """Return the status of activating CAPF."""
    return node.api("PUT", "/service", {"activated": True})[0]


def reset(node: RunningNode) -> int:
    """Reset two phones; return the number of failures."""
    names = ["SEP0000000000B1", "SEP0000000000B2"]
    node.ok("POST", "/phones", {"phones": [{"device_name": name} for name in names]})
    return int(node.ok("POST", "/phones/reset", {"phones": names})["counts"]["failed"])


def reset_overlaps(node: RunningNode) -> bool:
    """Return whether the commands of two phones ran at the same time."""
    assert reset(node) == 0
    return (node.directory / "overlap").exists()


def reset_leaves_a_file(node: RunningNode) -> bool:
    """Return whether the configured command ran."""
    with suppress(AssertionError):
        reset(node)
    return (node.directory / "reset-SEP0000000000B1").exists()


def _roll_out(node: RunningNode) -> None:
    """Give a phone its LSC in a rolling rollout that a run watches, and give the server time to see that."""
    node.ok("PUT", "/service", {"activated": True})
    node.ok("POST", "/phones", {"phones": [{"device_name": PHONE, **SETTINGS}]})
    run = {"runner": "run-1"}
    wanted = {**run, "names": [PHONE], "strategy": "rolling", "reset": False, "force": True}
    watched = {**run, "rollout_id": node.ok("PUT", "/rollouts/night", wanted)["rollout"]["id"], "timeout": 0}
    node.ok("POST", "/rollouts/night/watch", watched)
    enrol_by_retries(node)
    time.sleep(4)
    node.ok("POST", "/rollouts/night/abort", {})


def asks_who_is_registered(node: RunningNode) -> bool:
    """Return whether the command ran for a phone with its LSC."""
    _roll_out(node)
    return (node.directory / "asked").exists()


def asks_often(node: RunningNode) -> bool:
    """Return whether the command ran more than once for a phone that is not registered."""
    (node.directory / "asked").unlink(missing_ok=True)
    _roll_out(node)
    return len((node.directory / "asked").read_text().splitlines()) > 1


def unlocks_soon(node: RunningNode) -> bool:
    """Return whether a phone that is locked after ten wrong strings is unlocked after 3 seconds."""
    _guess(node, PHONE, 10)
    assert not _comes_in(node, STRING) or node.phone(PHONE)["locked_until"] is None
    time.sleep(3)
    return _comes_in(node, STRING)


def _guess(node: RunningNode, name: str, tries: int) -> None:
    """Schedule an operation by string for a phone, and make it send a wrong string."""
    mode = {"authentication_mode": "By Authentication String", "key_order": "EC Only", "ec_key_size": 256}
    node.ok("POST", "/phones", {"phones": [{"device_name": name, **mode}]})
    item = {"device_name": name, "authentication_string": STRING}
    node.ok("POST", "/operations", {"operation": "Install/Upgrade", "items": [item], "force": True})
    for _index in range(tries):
        client = Client(node.capf_port, name)
        client.authenticate("000000")
        client.close()


def lets_in_after_three_tries(node: RunningNode) -> bool:
    """Return whether a phone is accepted with the correct string after three wrong ones."""
    _guess(node, "SEP0000000000C1", 3)
    return _comes_in(node, STRING, "SEP0000000000C1")


def lets_another_in_after_three_tries(node: RunningNode) -> bool:
    """Return whether a phone is accepted with the correct string after three wrong ones for other phones."""
    _guess(node, "SEP0000000000C2", 2)
    _guess(node, "SEP0000000000C3", 1)
    _guess(node, "SEP0000000000C4", 0)
    return _comes_in(node, STRING, "SEP0000000000C4")


def _comes_in(node: RunningNode, string: str, name: str = PHONE) -> bool:
    client = Client(node.capf_port, name)
    command = client.authenticate(string).command
    client.close()
    return command is Command.KEY_GENERATE_REQUEST


def _mic(directory: Path, *, expired: bool, sha1: bool) -> Flash:
    """Return the flash of a phone whose MIC has the given anomalies."""
    maker = Maker.open_or_make(directory / "ca", "Test Manufacturing CA")
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.now(UTC).replace(microsecond=0)
    end = now + timedelta(days=-1 if expired else 9)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"CP-8845-{PHONE}")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(maker.certificate.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    mic = builder.not_valid_before(now - timedelta(days=9)).not_valid_after(end).sign(maker.key, hashes.SHA256())
    flash = Flash(directory / f"flash-{expired}-{sha1}")
    flash.make_mic(Identity(_with_sha1(mic, maker.key) if sha1 else mic, key))
    return flash


def _with_sha1(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Return the certificate signed with SHA-1, which current libraries no longer support."""
    signed = certificate.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA1())
    der = certificate.public_bytes(Encoding.DER).replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    return x509.load_der_x509_certificate(der[: -len(signature)] + signature)


def comes_in_by_mic(*, expired: bool = False, sha1: bool = False, sudi: bool = True) -> Observe:
    """Return an observation: whether a phone with this MIC is accepted."""

    def observe(node: RunningNode) -> bool:
        schedule(node, authentication_mode="By Existing Certificate (precedence to MIC)")
        flash = _mic(node.directory.parent, expired=expired, sha1=sha1)
        client = Client(node.capf_port, PHONE)
        elements = dict(auth_response(PHONE, client.session_id, flash, MODE_MIC_FIRST, "", 3).elements)
        if not sudi:
            del elements[Tag.SUDI_DATA]
        client.send(Command.AUTH_RESPONSE, elements)
        command = client.receive().command
        client.close()
        return command is Command.KEY_GENERATE_REQUEST

    return observe


def copy_database(node: RunningNode) -> None:
    """Copy the database to the path of the new setting."""
    subprocess.run(["cp", node.state / "capf.db", node.directory / "other.db"], check=True)


def move_state(node: RunningNode) -> None:
    """Move the state directory."""
    node.state = node.state.rename(node.directory / "moved")


def writes_to(path: str) -> Observe:
    """Return an observation: whether a request changes this file of the database."""

    def observe(node: RunningNode) -> bool:
        wal = node.directory / f"{path}-wal"
        before = wal.read_bytes() if wal.exists() else b""
        node.ok("PUT", "/service-parameters", {"parameters": {"Key Size": 3072}})
        node.ok("PUT", "/service-parameters", {"parameters": {"Key Size": 2048}})
        return wal.exists() and wal.read_bytes() != before

    return observe


def _lock_step(seconds: float) -> list[str]:
    script = f'mkdir "$0/lock" 2>/dev/null || touch "$0/overlap"; sleep {seconds}; rmdir "$0/lock" 2>/dev/null; true'
    return ["sh", "-c", script, "{directory}", "{name}"]


def port_open(host: str, port: str | int) -> Observe:
    """Return an observation: whether a port (a number, or the node's attribute) is open."""
    return lambda node: reachable(host, port if isinstance(port, int) else getattr(node, port))


def held(port: str) -> Observe:
    """Return an observation: the number of thirty silent connections from one address that a port keeps."""

    def observe(node: RunningNode) -> int:
        address = ("127.0.0.1", getattr(node, port))
        connections = [socket.create_connection(address, 10, ("127.0.0.9", 0)) for _index in range(30)]
        time.sleep(0.5)
        kept = 0
        for connection in connections:
            connection.setblocking(False)
            try:
                kept += connection.recv(1) != b""
            except BlockingIOError:
                kept += 1
            except ConnectionError:
                continue
        for connection in connections:
            connection.close()
        return kept

    return observe


def metrics_without_login(node: RunningNode) -> int:
    """Return the status of /metrics without a login."""
    trust = ssl.create_default_context(cafile=str(node.state / "administration.crt"))
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{node.port}/metrics", timeout=10, context=trust) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


BOTH = ["127.0.0.1", "127.0.0.2"]
CASES: dict[str, Case] = {
    "state_directory": Case(
        "server", "state_directory", "{directory}/moved", writes_to("moved/capf.db"), False, True, carry=move_state
    ),
    "first_node": Case("server", "first_node", False, activates, 200, 409),
    "node_name": Case("server", "node_name", "192.0.2.9", lambda node: "192.0.2.9" in configuration(node), False, True),
    "database": Case(
        "server", "database", "sqlite:///{directory}/other.db", writes_to("other.db"), False, True, carry=copy_database
    ),
    "administration_addresses": Case(
        "administration", "addresses", BOTH, port_open("127.0.0.2", "port"), False, True
    ),
    "administration_port": Case(
        "administration", "port", PORTS[0], port_open("127.0.0.1", PORTS[0]), False, True, tell="port"
    ),
    "administration_maximum_connections": Case(
        "administration", "maximum_connections", 10, held("port"), 30, 5,
    ),
    "administration_maximum_connections_per_address": Case(
        "administration", "maximum_connections_per_address", 5, held("port"), 30, 5,
    ),
    "administration_monitors": Case(
        "administration", "monitors", ["192.0.2.0/24"], metrics_without_login, 200, 401,
    ),
    "capf_addresses": Case("capf", "addresses", BOTH, port_open("127.0.0.2", "capf_port"), False, True),
    "capf_addresses_ipv6": Case("capf", "addresses_ipv6", [], port_open("::1", "capf_port"), True, False),
    "maximum_sessions": Case(
        "capf", "maximum_sessions", 1, lambda node: served(node, "127.0.0.1", "127.0.0.2"), True, False
    ),
    "maximum_sessions_per_address": Case(
        "capf", "maximum_sessions_per_address", 1,
        lambda node: (served(node, *BOTH), served(node, "127.0.0.1", "127.0.0.1")), (True, True), (True, False),
    ),
    "maximum_sessions_per_device": Case("capf", "maximum_sessions_per_device", 1, two_of_a_device, True, False),
    "authentication_seconds": Case("capf", "authentication_seconds", 1, hangs_up_on_silence_after_tls, False, True),
    "handshake_seconds": Case("capf", "handshake_seconds", 1, hangs_up_on_silence, False, True),
    "drain_seconds": Case("capf", "drain_seconds", 60, drains, False, True, alone=True),
    "files_enabled": Case("files", "enabled", False, port_open("127.0.0.1", "files_port"), True, False),
    "files_addresses": Case("files", "addresses", BOTH, port_open("127.0.0.2", "files_port"), False, True),
    "files_port": Case("files", "port", PORTS[1], port_open("127.0.0.1", PORTS[1]), False, True),
    "files_maximum_connections": Case("files", "maximum_connections", 10, held("files_port"), 30, 5),
    "files_maximum_connections_per_address": Case(
        "files", "maximum_connections_per_address", 7, held("files_port"), 30, 7,
    ),
    "own_directory": Case(
        "files", "own_directory", "{directory}/mine", lambda node: "ours" in configuration(node), False, True,
        carry=put_own_file,
    ),
    "capf_servers": Case(
        "files", "capf_servers", ["192.0.2.7", "192.0.2.8"],
        lambda node: [name in configuration(node) for name in ("192.0.2.7", "192.0.2.8")],
        [False, False], [True, True],
    ),
    "tftp_directory": Case(
        "files", "tftp_directory", "{directory}/tftp", published, False, True,
        carry=lambda node: (node.directory / "tftp").mkdir(),
    ),
    "allow_tls_1_0": Case("capf", "allow_tls_1_0", True, speaks_tls_1_0, False, True),
    "allow_expired_mic": Case(
        "authentication", "allow_expired_mic", True, comes_in_by_mic(expired=True), False, True
    ),
    "allow_sha1_mic": Case(
        "authentication", "allow_sha1_mic", True, comes_in_by_mic(sha1=True), False, True
    ),
    "require_sudi": Case("authentication", "require_sudi", True, comes_in_by_mic(sudi=False), True, False),
    "lock_seconds": Case("authentication", "lock_seconds", 1, unlocks_soon, False, True),
    "tries_per_operation": Case("authentication", "tries_per_operation", 3, lets_in_after_three_tries, True, False),
    "wrong_strings_per_day": Case(
        "authentication", "wrong_strings_per_day", 3, lets_another_in_after_three_tries, True, False
    ),
    "reset_command": Case(
        "reset", "command", ["touch", "{directory}/reset-{name}"], reset_leaves_a_file, False, True
    ),
    "reset_parallel": Case(
        "reset", "parallel", 1, reset_overlaps, True, False, base={("reset", "command"): _lock_step(2)}
    ),
    "reset_seconds": Case("reset", "seconds", 1, reset, 0, 2, base={("reset", "command"): _lock_step(4)}),
    "registration_command": Case(
        "registration", "command", ["sh", "-c", "echo >> {directory}/asked"], asks_who_is_registered, False, True,
        alone=True,
    ),
    "registration_interval": Case(
        "registration", "interval", 1, asks_often, False, True,
        base={("registration", "command"): ["sh", "-c", f"echo >> {{directory}}/asked; echo {PHONE}"]},
    ),
}  # fmt: skip
