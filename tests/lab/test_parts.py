# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a simulated phone: keys, flash, configuration, behaviour, the phones' list."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from capf.model import CapfError, KeySpec
from capf_lab import csvfile
from capf_lab.behaviour import Behaviour, Shares, share
from capf_lab.cnf_xml import Configuration, parse
from capf_lab.csvfile import CsvError
from capf_lab.flash import Flash
from capf_lab.fleet import mistyped
from capf_lab.keys import KeyMaker, PoolExhaustedError
from capf_lab.manufacturing import Maker

RSA_1024 = KeySpec(ec=False, bits=1024)


def test_keys_of_a_pool_are_right_and_never_the_same() -> None:
    keys = KeyMaker(pool=5)
    made = [keys.make(RSA_1024) for _index in range(10)]
    assert len({key.public_key().public_numbers().n for key in made if isinstance(key, rsa.RSAPrivateKey)}) == 10
    for key in made:
        assert isinstance(key, rsa.RSAPrivateKey) and key.key_size == 1024
        signature = key.sign(b"data", padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, b"data", padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(PoolExhaustedError):
        keys.make(RSA_1024)


def test_r4_private_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    flash = Flash(tmp_path / "phone")
    flash.make_mic(Maker.open_or_make(tmp_path / "ca", "CA").make_mic("SEP001122334455", "8845", KeyMaker()))
    assert (tmp_path / "phone").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "phone" / "mic.pem").stat().st_mode & 0o777 == 0o600
    assert flash.mic is not None and flash.lsc is None


def test_r6_flash_keeps_the_settings_of_an_unfinished_operation(tmp_path: Path) -> None:
    flash, configuration = Flash(tmp_path), Configuration(1, 2, (("node1", 3804),))
    assert flash.unfinished is None
    flash.begin(configuration.kept())
    kept = Flash(tmp_path).unfinished
    assert kept is not None and Configuration.from_flash(kept) == configuration
    flash.finish()
    assert flash.unfinished is None


def test_p60_a_ctl_file_of_the_lab_is_known_as_such_until_there_is_another(tmp_path: Path) -> None:
    flash = Flash(tmp_path / "SEP00000000000A")
    assert not flash.ctl_is_the_labs
    flash.store_ctl(b"the lab's", of_the_lab=True)
    assert flash.ctl_is_the_labs
    flash.store_ctl(b"the server's")
    assert not flash.ctl_is_the_labs and flash.ctl == b"the server's"


def test_a_configuration_file_is_read() -> None:
    text = b"""<device><deviceSecurityMode>3</deviceSecurityMode><capfAuthMode>2</capfAuthMode>
    <capfList><capf><processNodeName>node1</processNodeName><phonePort>3805</phonePort></capf>
    <capf><processNodeName>node2</processNodeName></capf></capfList></device>"""
    assert parse(text) == Configuration(3, 2, (("node1", 3805), ("node2", 3804)))


@pytest.mark.parametrize(
    "text", [b"", b"<device>", b"<!DOCTYPE d><device/>", b"<device><capfAuthMode>x</capfAuthMode></device>"]
)
def test_a_configuration_file_that_is_damaged_is_none(text: bytes) -> None:
    assert parse(text) is None


def test_shares_are_the_same_in_every_run_and_about_right() -> None:
    shares = Shares(offline=0.1, lossy=0.2)
    names = [f"SEP{index:012X}" for index in range(2000)]
    found = [shares.of(name) for name in names]
    assert found == [shares.of(name) for name in names]
    assert 150 < found.count(Behaviour.OFFLINE) < 250
    assert 340 < found.count(Behaviour.LOSSY) < 460


@pytest.mark.parametrize(("text", "value"), [("3%", 0.03), ("0.5", 0.5), ("0%", 0.0), ("100%", 1.0)])
def test_a_share_is_read(text: str, value: float) -> None:
    assert share(text) == value


@pytest.mark.parametrize("text", ["", "x", "101%", "-1%", "2"])
def test_a_share_that_is_none_is_named(text: str) -> None:
    with pytest.raises(CapfError, match=r"share: .* is refused; allowed: 0% to 100%"):
        share(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name\nSEP001122334455\n", "line 1: column 'name' is unknown; allowed: device_name"),
        ("device_name\nSEP0011223344\n", "line 2 device_name: 'SEP0011223344' is refused"),
        ("device_name,lab_behaviour\nSEP001122334455,\nSEP001122334466,odd\n", "line 3 lab_behaviour: 'odd'"),
        ("device_name\n", "the list has no phones"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "phones.csv"
    path.write_text(text)
    with pytest.raises(CsvError, match=says):
        csvfile.read(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"device_name\nSEP00000000000A\nSEP00000000000B\nSEP00000000000A\n", "line 4 .*is already in line 2"),
        (b"device_name,description\nSEP00000000000A,Z\xfcrich\n", "line 2: not valid UTF-8, probably Windows-1252"),
        (b'device_name\nSEP00000000000A\n"SEP00000000000B\n', "line 3: the row is not valid CSV"),
    ],
)
def test_a_file_of_phones_that_cannot_be_is_named_by_its_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "phones.csv"
    path.write_bytes(content)
    with pytest.raises(CsvError, match=says):
        csvfile.read(path)


def test_a_mistyped_string_differs_in_one_digit() -> None:
    assert mistyped("9123") == "0123"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Device Name,Authentication String\nSEP00000000000A,00123456\n", {"SEP00000000000A": "00123456"}),
        ("device_name,authentication_string\nSEP00000000000A, 0000 \n", {"SEP00000000000A": "0000"}),
    ],
)
def test_p39_people_enter_a_string_as_the_list_has_it(tmp_path: Path, text: str, found: dict[str, str]) -> None:
    path = tmp_path / "strings.csv"
    path.write_text(text)
    assert csvfile.strings(path) == found


@pytest.mark.parametrize("string", ["1.23457E+11", "12345678.0", "123"])
def test_p39_nobody_enters_what_a_spreadsheet_has_made_of_a_string(tmp_path: Path, string: str) -> None:
    path = tmp_path / "strings.csv"
    path.write_text(f"device_name,authentication_string\nSEP00000000000A,4711\nSEP00000000000B,{string}\n")
    with pytest.raises(
        CsvError, match=r"strings.csv line 3 authentication_string: this value is refused; allowed: 4 to"
    ) as error:
        csvfile.strings(path)
    assert string not in str(error.value)
