# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates of phones against a real server: old MICs, SUDI and session ids (P11), renewal of the CAPF (P30)."""

from __future__ import annotations

import ast
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import capf
from capf.certificates.authority import make_capf_certificate
from capf.certificates.keystore import KeyPair, Keystore
from capf.phone_session.wire import Command, Message
from capf_lab.credentials import MODE_LSC_FIRST, MODE_MIC_FIRST
from capf_lab.flash import Flash
from support.client import Client
from support.identity import Manufacturer, hold, new_ec_key, public_der
from support.node import RunningNode
from support.waiting import until

A = "SEP00000000000A"
LSC_FIRST = "By Existing Certificate (precedence to LSC)"
MIC_FIRST = "By Existing Certificate (precedence to MIC)"
SECONDS_A_DAY = 86400


@pytest.fixture
def manufacturer(tmp_path: Path) -> Manufacturer:
    """A manufacturer that the node trusts."""
    return Manufacturer(tmp_path)


@pytest.fixture
def trusting(tmp_path: Path, manufacturer: Manufacturer) -> Iterator[RunningNode]:
    """A node that trusts the manufacturer, with one phone."""
    node = RunningNode(tmp_path / "node", manufacturing_ca=manufacturer.ca).start()
    node.activate()
    settings = {"key_order": "EC Only", "ec_key_size": 256, "mic": True, "authentication_mode": MIC_FIRST}
    node.ok("POST", "/phones", {"phones": [{"device_name": A, **settings}]})
    yield node
    node.stop()


def prove(node: RunningNode, flash: Flash, wire: int = MODE_MIC_FIRST, **changes: bytes | None) -> Message:
    """Schedule a new operation and authenticate the phone by certificate; return the server's answer."""
    mode = MIC_FIRST if wire == MODE_MIC_FIRST else LSC_FIRST
    node.schedule(A, authentication_mode=mode, force=True)
    return session(node, flash, wire, **changes)


def session(node: RunningNode, flash: Flash, wire: int, **changes: bytes | None) -> Message:
    """Authenticate the phone for its pending operation, which is cancelled afterwards; return the server's answer."""
    client = Client(node.capf_port, A)
    answer = client.prove(flash, wire, changes=changes)
    client.close()
    node.schedule(A, operation="No Pending Operation")
    return answer


def refused(node: RunningNode, message: Message) -> bool:
    """Return whether the phone was refused because of its MIC."""
    if message.command is Command.KEY_GENERATE_REQUEST:
        return False
    until(lambda: node.phone(A)["last_refusal"].startswith("Upgrade Failed: Invalid MIC: "))
    return True


def allow(node: RunningNode, *names: str) -> None:
    """Restart the node with settings of the table ``authentication``."""
    node.stop()
    text = node.config.read_text() + "[authentication]\n" + "".join(f"{name} = true\n" for name in names)
    node.config.write_text(text)
    node.start()


def test_p11_expired_and_sha1_mics_only_by_explicit_settings(trusting: RunningNode, manufacturer: Manufacturer) -> None:
    old = manufacturer.phone(A, manufacturer.sha1_mic(A))
    expired = manufacturer.phone(A, manufacturer.sign(f"CP-8845-{A}", days=(-3650, -1)))
    assert refused(trusting, prove(trusting, old)) and refused(trusting, prove(trusting, expired))
    allow(trusting, "allow_sha1_mic", "allow_expired_mic")
    assert not refused(trusting, prove(trusting, old)) and not refused(trusting, prove(trusting, expired))


def test_p11_sudi_data_binds_to_the_session_and_a_setting_requires_it(
    trusting: RunningNode, manufacturer: Manufacturer
) -> None:
    flash = manufacturer.phone(A)
    assert not refused(trusting, prove(trusting, flash))
    assert not refused(trusting, prove(trusting, flash, SUDI_DATA=None))
    assert refused(trusting, prove(trusting, flash, SUDI_DATA=_sudi_of_another_session(trusting, flash)))
    allow(trusting, "require_sudi")
    assert refused(trusting, prove(trusting, flash, SUDI_DATA=None))
    assert not refused(trusting, prove(trusting, flash))


def _sudi_of_another_session(node: RunningNode, flash: Flash) -> bytes:
    """Return SUDI data recorded in another session of the same phone."""
    from capf.phone_session.wire import Tag
    from capf_lab.credentials import auth_response

    client = Client(node.capf_port, A)
    message = auth_response(A, client.session_id, flash, MODE_MIC_FIRST, "", 3)
    client.close()
    return message.elements[Tag.SUDI_DATA]


def test_p11_session_ids_differ_and_use_every_bit(trusting: RunningNode) -> None:
    identifiers = []
    for _index in range(60):
        client = Client(trusting.capf_port, A)
        identifiers.append(client.session_id)
        client.close()
    assert len(set(identifiers)) == len(identifiers)
    for bit in range(32):
        assert 0 < sum(identifier >> bit & 1 for identifier in identifiers) < len(identifiers)


def _random_modules(tree: ast.AST) -> set[str]:
    """Return the imports of modules with predictable random numbers in a file."""
    whole = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name for name in whole | parts if name.partition(".")[0] in ("random", "numpy", "uuid")}


def test_p11_the_server_draws_from_no_other_source_than_a_csprng() -> None:
    source = Path(capf.__file__).parent
    drawn = set()
    for path in source.rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert not _random_modules(tree), path
        drawn |= {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert "secrets.randbits(32)" in drawn


def install(node: RunningNode, flash: Flash) -> None:
    """Install an LSC on the phone."""
    node.schedule(A, authentication_mode="By Null String", force=True)
    client, key = Client(node.capf_port, A), new_ec_key()
    client.authenticate()
    hold(flash, client.send_key(public_der(key)), key)
    client.confirm()
    client.close()
    node.wait(A)


def test_p30_lscs_of_the_old_capf_authenticate_only_while_it_is_trusted(
    trusting: RunningNode, manufacturer: Manufacturer
) -> None:
    flash = manufacturer.phone(A)
    install(trusting, flash)
    old = trusting.ok("GET", "/capf-certificate")["current"]["common_name"]
    for state in ("prepared", "active"):
        trusting.ok("PUT", "/capf-certificate", {"state": state, "force": True})
    assert prove(trusting, flash, MODE_LSC_FIRST).command is Command.KEY_GENERATE_REQUEST
    trusting.schedule(A, authentication_mode=LSC_FIRST, force=True)
    trusting.ok("PUT", "/capf-certificate/trusted", {"state": "absent", "names": [old], "force": True})
    assert session(trusting, flash, MODE_LSC_FIRST).command is Command.END_SESSION
    until(lambda: trusting.phone(A)["last_refusal"].startswith("Upgrade Failed: Invalid LSC: "))


@pytest.mark.parametrize(("days", "soon"), [(300, True), (500, False)])
def test_p30_the_end_of_the_issuer_is_a_warning_long_before(tmp_path: Path, days: int, soon: bool) -> None:
    node = RunningNode(tmp_path / "node")
    made = time.time() - 20 * 365.25 * SECONDS_A_DAY + (days + 0.5) * SECONDS_A_DAY
    Keystore(node.state).issue_with(KeyPair(*make_capf_certificate(os.urandom, made, "ucm.capf", "CAPF")))
    node.start()
    ready = node.api("GET", "/readyz", base="")[1]
    metrics = node.api("GET", "/metrics", base="")[1]
    node.stop()
    assert ready["ready"]
    assert ready["warnings"] == ([f"the CAPF certificate expires in {days} days"] if soon else [])
    assert f"capf_certificate_expires_soon {float(soon)}" in metrics
