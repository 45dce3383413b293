# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings in a phone's configuration file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from capf.model import InvalidRequestError, Operation
from capf.phone_files import content, http_server
from capf.phone_files.cnf_xml import ConfigurationError
from capf.phone_files.folder import Folder
from capf.phone_files.publisher import Publisher
from capf.phone_session.wire import CertificateType
from capf.registry import trace
from capf.registry.transaction import Transaction
from capf_lab.cnf_xml import Configuration, parse
from capf_lab.keys import KeyMaker
from capf_lab.manufacturing import Maker
from capf_lab.network import IpMode
from support.asgi import ask
from support.record import PHONE, Record

ANOTHER = "SEP00000000000B"


def served(record: Record, name: str = PHONE) -> Configuration:
    """Return the settings that a phone reads in its file."""
    data = record.store.read(lambda c: content.configuration(Transaction(c, record.context), name, "node1"))
    assert data is not None
    configuration = parse(data)
    assert configuration is not None
    return configuration


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/a/b", 404), ("GET", "/a.bin", 404), ("POST", "/a.bin", 405)]
)
async def test_what_the_port_does_not_have_is_a_status_without_words(
    record: Record, tmp_path: Path, method: str, path: str, status: int
) -> None:
    app = http_server.application(record.store, record.context, "127.0.0.1", Folder(tmp_path))
    answer = await ask(app, method, path)
    assert (answer.status, answer.body) == (status, b"")


def test_a_phone_that_is_not_registered_has_no_file(record: Record) -> None:
    assert record.store.read(lambda c: content.configuration(Transaction(c, record.context), PHONE, "node1")) is None


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        ("By Authentication String", 1),
        ("By Null String", 2),
        ("By Existing Certificate (precedence to LSC)", 3),
        ("By Existing Certificate (precedence to MIC)", 4),
    ],
)
def test_the_authentication_mode_is_there_while_an_operation_waits(record: Record, mode: str, number: int) -> None:
    record.add(authentication_mode=mode)
    assert served(record) == Configuration(1, 0, (("node1", 3804),), "", IpMode.IPV4)
    record.plan()
    assert served(record).authentication_mode == number
    record.plan(operation=Operation.NONE)
    assert served(record).authentication_mode == 0


@pytest.mark.parametrize(("mode", "number"), [("Non Secure", 1), ("Authenticated", 2), ("Encrypted", 3)])
def test_the_device_security_mode_is_the_phones(record: Record, mode: str, number: int) -> None:
    record.add(device_security_mode=mode)
    assert served(record).security_mode == number


def test_the_hash_is_that_of_the_active_lsc(record: Record) -> None:
    record.add()
    for _time in range(2):
        record.plan(force=True)
        der = record.install(password="")
        assert served(record).certificate_hash == hashlib.md5(der).hexdigest()


def test_the_hash_is_that_of_the_mic_where_only_that_is_known(record: Record) -> None:
    record.add(mic=True)
    maker = Maker.open_or_make(record.context.trace_directory.parent / "ca", "CA")
    mic = maker.make_mic(PHONE, "8845", KeyMaker()).certificate.public_bytes(Encoding.DER)
    trace.write(record.context.trace_directory, PHONE, [(CertificateType.MIC, mic)])
    assert served(record).certificate_hash == hashlib.md5(mic).hexdigest()


@pytest.mark.parametrize(
    "damaged", [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None]
)
def test_a_mic_whose_file_is_damaged_is_as_one_that_is_not_known(record: Record, damaged: bytes | None) -> None:
    record.add(mic=True)
    path = record.context.trace_directory / f"{PHONE}-MIC.txt"
    path.parent.mkdir()
    if damaged is None:
        path.mkdir()
    else:
        path.write_bytes(damaged)
    assert served(record).certificate_hash == ""


def set_parameters(record: Record, **values: object) -> None:
    """Set enterprise parameters; underscores replace spaces in their names."""
    wanted = {name.replace("_", " "): value for name, value in values.items()}
    record.set_parameters("enterprise", wanted)


@pytest.mark.parametrize("names", [(), ("a", "b", "c", "d", "e")])
def test_servers_port_and_parameters_are_as_set(record: Record, names: Sequence[str]) -> None:
    record.add()
    record.context.capf_servers = tuple(names)
    set_parameters(record, CAPF_Phone_Port=4000, Enable_IPv6=True, TFTP_Encrypted_Config=True)
    expected = Configuration(1, 0, tuple((name, 4000) for name in names or ["node1"]), "", IpMode.DUAL)
    assert served(record) == expected
    data = record.store.read(lambda c: content.configuration(Transaction(c, record.context), PHONE, "node1"))
    assert data is not None and b"<encrConfig>true</encrConfig>" in data


def test_an_own_file_is_edited_and_one_that_cannot_be_is_refused(record: Record) -> None:
    record.add()
    record.context.own_files = record.context.trace_directory.parent
    own = record.context.own_files / f"{PHONE}.cnf.xml"
    own.write_bytes(b"<device>\r\n<userLocale a='b'/><ipAddressMode>1</ipAddressMode></device>")
    data = record.store.read(lambda c: content.configuration(Transaction(c, record.context), PHONE, "node1"))
    assert data is not None and data.startswith(b"<device>\r\n<userLocale a='b'/><ipAddressMode>1</ipAddressMode>")
    assert replace(served(record), ip_mode=IpMode.IPV4) == Configuration(1, 0, (("node1", 3804),), "", IpMode.IPV4)
    own.write_bytes(b"<!DOCTYPE device><device/>")
    with pytest.raises(ConfigurationError, match="document type declaration"):
        record.store.read(lambda c: content.configuration(Transaction(c, record.context), PHONE, "node1"))


async def test_an_own_file_that_cannot_be_read_stops_no_other_phone(record: Record, tmp_path: Path) -> None:
    record.context.own_files, tftp = tmp_path / "own", tmp_path / "tftp"
    for name in (PHONE, ANOTHER):
        record.add(name)
    (record.context.own_files / f"{PHONE}.cnf.xml").mkdir(parents=True)
    await Publisher(record.store, record.context, Folder(tmp_path / "source"), tftp).publish([PHONE, ANOTHER])
    assert [path.name for path in tftp.iterdir()] == [f"{ANOTHER}.cnf.xml"]
    with pytest.raises(InvalidRequestError, match="cannot be read: Is a directory"):
        record.store.read(
            lambda c: content.published_files(Transaction(c, record.context), Folder(tmp_path / "source"), None)
        )
