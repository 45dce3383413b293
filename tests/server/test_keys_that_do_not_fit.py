# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys that do not match: reported at the start, CAPF does not run, and failing requests say why (P34)."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select

from capf.certificates import authority, keystore
from capf.certificates.keystore import KeyPair, Keystore
from capf.certificates.secretbox import KEY_BYTES, SecretBox, UnreadableError
from capf.model import Operation
from capf.phone_session.effects import Refused
from capf.registry import phones, report, schedule, search, strings_key
from capf.registry.transaction import Transaction
from capf.store import schema
from support.inprocess import InProcess, new_state
from support.record import PHONE, Record

STRING, BY_STRING = "24681357", "By Authentication String"
STRINGS = {"authentication_strings": True}


@pytest_asyncio.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    """The state of an activated node that has a phone with a pending string."""
    directory = new_state(tmp_path / "state")
    node = await InProcess(directory).begin()
    await node.ok("PUT", "/service", {"activated": True})
    phone = {"device_name": PHONE, "authentication_mode": BY_STRING}
    wanted = schedule.OperationRequest(Operation.INSTALL, [schedule.RequestedPhone(PHONE, string=STRING)])
    store, context = node.server.store, node.server.context
    store.write(lambda c: phones.ensure(Transaction(c, context, "admin"), [phone], "present"))
    store.write(lambda c: schedule.schedule(Transaction(c, context, "admin"), wanted))
    await node.close()
    yield directory


async def test_p34_keys_that_do_not_fit_the_database_are_named_and_can_be_replaced(state: Path) -> None:
    (state / "strings.key").write_bytes(os.urandom(KEY_BYTES))
    node = await InProcess(state).begin()
    shown = await node.ok("GET", "/service")
    assert shown["activated"] and not shown["running"] and shown["restart_required"]
    assert "strings.key: it is not the key with which the strings of the database were encrypted" in shown["problem"]
    ready = await node.ask("GET", "/readyz", base="")
    assert ready.status == 503 and "strings.key" in ready.json["problems"][0]
    (phone,) = (await node.ok("POST", "/phones/find", STRINGS))["phones"]
    assert phone["authentication_string"] == search.UNREADABLE_STRING
    csv = await node.ask("POST", "/reports/capf", {"format": "csv", **STRINGS})
    assert csv.status == 200 and csv.whole and search.UNREADABLE_STRING.encode() in csv.body
    restart = await node.ask("POST", "/service/restart", {"if_due": True})
    assert restart.status == 409 and "strings.key" in restart.json["error"]["message"]
    again = {"operation": "Install/Upgrade", "phones": [PHONE]}
    assert (await node.ok("POST", "/operations", again))["scheduled"] == [PHONE]
    await node.server.follow()
    assert not (await node.ok("GET", "/service"))["running"], "the server itself takes no other key for the right one"
    assert (await node.ok("POST", "/service/restart", {"if_due": True}))["changed"]
    assert (await node.ok("GET", "/service"))["running"]
    (phone,) = (await node.ok("POST", "/phones/find", STRINGS))["phones"]
    assert phone["authentication_string"].isdecimal() and phone["authentication_string"] != STRING
    await node.close()


async def test_p34_keys_that_do_not_fit_are_found_without_any_string(state: Path) -> None:
    node = await InProcess(state).begin()
    await node.ok("POST", "/operations", {"operation": "No Pending Operation", "phones": [PHONE]})
    node.server.store.write(lambda c: c.execute(schema.operations.update().values(authentication_string=None)))
    await node.close()
    (state / "strings.key").write_bytes(os.urandom(KEY_BYTES))
    node = await InProcess(state).begin()
    assert "strings.key" in (await node.ok("GET", "/service"))["problem"]
    await node.close()


async def test_p34_keys_that_do_not_fit_their_certificate_are_named(state: Path) -> None:
    pair = Keystore(state).issuing()
    other, _certificate = authority.make_capf_certificate(os.urandom, time.time(), "ucm.capf", "CAPF")
    (state / "capf.key").write_bytes(KeyPair(other, pair.certificate).pem)
    node = await InProcess(state).begin()
    shown = await node.ok("GET", "/service")
    assert not shown["running"] and shown["capf_certificate"] is None
    assert "capf.key: the certificate does not belong to the key" in shown["problem"]
    assert "restore it from a backup" in shown["problem"]
    certificates = await node.ask("GET", "/capf-certificate")
    assert certificates.status == 409 and "capf.key" in certificates.json["error"]["message"]
    keystore.write_whole(state / "capf.key", pair.pem, keystore.SECRET)
    node.server.reload_authority()
    await node.server.follow()
    assert (await node.ok("GET", "/service"))["running"]
    await node.close()


def test_p34_a_string_that_cannot_be_read_refuses_the_phone_and_can_be_scheduled_again(record: Record) -> None:
    record.add(authentication_mode=BY_STRING)
    item = {"device_name": PHONE, "authentication_string": STRING}
    record.plan(items=[item])
    record.context.secrets = SecretBox(os.urandom(KEY_BYTES))
    assert isinstance(record.claim(password=STRING), Refused)
    criteria = [search.Criterion("authentication_string", "contains", "2")]
    assert record.store.read(lambda c: search.count(Transaction(c, record.context), criteria)) == 0
    found = record.store.read(
        lambda c: list(report.csv_pieces(search.found(Transaction(c, record.context), [], search.Page(), strings=True)))
    )
    assert search.UNREADABLE_STRING in "".join(found)
    assert record.plan().scheduled == [PHONE], "it does not go on with a string that nobody can read"
    assert record.plan(items=[item]).scheduled == [PHONE]
    assert record.plan(items=[item]).pending == [PHONE]
    record.grant(password=STRING)


def test_p34_one_string_of_many_does_not_make_the_key_wrong(record: Record) -> None:
    for name in (PHONE, "SEP00000000000B"):
        record.add(name, authentication_mode=BY_STRING)
        record.plan(name)
    broken = schema.operations.update().where(schema.operations.c.device_name == PHONE)
    record.run(lambda c: c.execute(broken.values(authentication_string=b"short")))
    (fault,) = record.store.read(lambda c: strings_key.faults(Transaction(c, record.context)))
    assert PHONE in fault.problem and not fault.stops_capf
    held = select(schema.operations.c.authentication_string).where(schema.operations.c.device_name == PHONE)
    assert record.store.read(lambda c: c.execute(held).scalar()) == b"short"


def test_p34_what_cannot_be_decrypted_says_so_and_nothing_else() -> None:
    box = SecretBox(os.urandom(KEY_BYTES))
    sealed = box.encrypt(STRING, PHONE)
    assert box.read(sealed, PHONE) == STRING
    for data, context in ((sealed, "SEP00000000000B"), (sealed[:-1], PHONE), (b"", PHONE), (b"short", PHONE)):
        assert box.read(data, context) is None
        with pytest.raises(UnreadableError, match=r"was not encrypted with this server's strings.key"):
            box.decrypt(data, context)
