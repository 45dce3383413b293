# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signed forms of phones' files: over HTTP, in the TFTP directory and on subscribers, never stale (P62)."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from starlette.types import ASGIApp

from capf.certificates import ctl, envelope
from capf.certificates.authority import make_capf_certificate
from capf.certificates.ctl import Role
from capf.certificates.envelope import Envelope
from capf.certificates.keystore import fingerprint, pem
from capf.certificates.signatures import Digest
from capf.model import InvalidRequestError
from capf.phone_files import folder, http_server, signed_files
from capf.phone_files.content import published_files
from capf.phone_files.folder import DEFAULT_CONFIGURATION, Folder
from capf.phone_files.publisher import Publisher
from capf.registry import ctl_file, file_signer, nodes, phones, tokens
from capf.registry.ctl_file import Options
from capf.registry.transaction import Transaction
from capf.store import named_values, node_rows
from support.asgi import ask
from support.record import NOW, PHONE, Record

NODE_PEM = pem(make_capf_certificate(os.urandom, NOW, "Example", "node")[1]).decode()
CONFIGURATION = f"{PHONE}.cnf.xml"
SIGNED = f"{CONFIGURATION}.sgn"


@pytest.fixture
def first(record: Record) -> Record:
    """The record of a first node after its first start, with a phone."""
    record.run(lambda c: nodes.register_first(Transaction(c, record.context), 8443, NODE_PEM))
    record.run(lambda c: tokens.make_missing(Transaction(c, record.context)))
    record.run(lambda c: file_signer.make_missing(Transaction(c, record.context)))
    record.add()
    return record


def make_ctl(record: Record, digest: str | None = None) -> ctl_file.MadeCtlFile:
    """Make the CTL file if it is outdated."""
    return record.run(lambda c: ctl_file.make_current(Transaction(c, record.context, "test"), Options(digest), ()))


def lists(record: Record) -> ctl.CtlFile:
    """Return the latest CTL file."""
    held = record.store.read(ctl_file.last)
    assert held is not None
    return held.file


def verified(record: Record, data: bytes) -> Envelope:
    """Return a signed file as a phone reads it: with the certificates of its CTL file that have the role TFTP."""
    file = envelope.read(data)
    envelope.verify(file, lists(record).certificates(Role.TFTP))
    return file


def new_signer(record: Record) -> None:
    """Damage the signer's key, so that the next CTL file lists a new one."""
    signer = record.store.read(file_signer.certificate)
    assert signer is not None
    (record.context.token_directory / f"{fingerprint(signer)}.key").write_bytes(b"short")


def port(record: Record, path: Path) -> ASGIApp:
    """Return the files port."""
    return http_server.application(record.store, record.context, "node1", Folder(path))


async def test_p62_the_signed_form_of_each_file_is_served_from_the_first_ctl_file_on(
    first: Record, tmp_path: Path
) -> None:
    app = port(first, tmp_path)
    (tmp_path / "0123abcd.0").write_text(NODE_PEM)
    first.context.own_files = tmp_path
    (tmp_path / DEFAULT_CONFIGURATION).write_bytes(b"<Default/>")
    assert (await ask(app, "GET", f"/{SIGNED}")).status == 404
    make_ctl(first, "SHA-1")
    for name in (CONFIGURATION, DEFAULT_CONFIGURATION, "0123abcd.0"):
        plain, signed = await ask(app, "GET", f"/{name}"), await ask(app, "GET", f"/{name}.sgn")
        file = verified(first, signed.body)
        assert (signed.status, file.content, file.digest) == (200, plain.body, Digest.SHA1)
        assert file.label.file_name == f"{name}.sgn"


@pytest.mark.parametrize(
    "name", ["CTLFile.tlv.sgn", f"{SIGNED}.sgn", "SEP00000000000B.cnf.xml.sgn", "capf.key.sgn", ".sgn", "", "a/b.sgn"]
)
async def test_p62_other_names_have_no_signed_form(first: Record, tmp_path: Path, name: str) -> None:
    make_ctl(first)
    (tmp_path / "CTLFile.tlv").write_bytes(b"")
    (tmp_path / "capf.key").write_bytes(b"")
    answer = await ask(port(first, tmp_path), "GET", f"/{name}")
    assert (answer.status, answer.body) == (404, b"")


async def test_p62_a_signed_file_is_never_stale(first: Record, tmp_path: Path) -> None:
    app = port(first, tmp_path)
    make_ctl(first)
    before = (await ask(app, "GET", f"/{SIGNED}")).body
    assert (await ask(app, "GET", f"/{SIGNED}")).body == before
    first.plan()
    changed = (await ask(app, "GET", f"/{SIGNED}")).body
    assert verified(first, changed).content == (await ask(app, "GET", f"/{CONFIGURATION}")).body
    assert verified(first, changed).content != envelope.read(before).content
    new_signer(first)
    assert make_ctl(first).reasons == ["the signer of phones' files was changed or removed"]
    again = verified(first, (await ask(app, "GET", f"/{SIGNED}")).body)
    assert again.content == envelope.read(changed).content
    assert again.serial_number != envelope.read(changed).serial_number
    make_ctl(first, "SHA-1")
    assert verified(first, (await ask(app, "GET", f"/{SIGNED}")).body).digest is Digest.SHA1


async def test_p62_a_signature_is_computed_once_for_each_content_and_key(first: Record, tmp_path: Path) -> None:
    app = port(first, tmp_path)
    make_ctl(first)
    for _time in range(3):
        await ask(app, "GET", f"/{SIGNED}")
    assert len(first.context.signatures) == 1
    first.plan()
    await ask(app, "GET", f"/{SIGNED}")
    assert len(first.context.signatures) == 2


async def test_p62_head_and_further_slashes_are_answered_as_get_is(first: Record, tmp_path: Path) -> None:
    app = port(first, tmp_path)
    make_ctl(first)
    assert (await ask(app, "GET", f"//{SIGNED}")).body == (await ask(app, "GET", f"/{SIGNED}")).body != b""
    assert (await ask(app, "HEAD", f"/{SIGNED}")).status == 200
    assert (await ask(app, "HEAD", "/SEP00000000000B.cnf.xml.sgn")).status == 404


def test_p62_a_ctl_file_lists_the_signer_when_it_names_a_tftp_server(first: Record) -> None:
    signer = first.store.read(file_signer.certificate)
    make_ctl(first)
    assert lists(first).certificates(Role.TFTP) == [signer]
    assert signer is not None and "CN=127.0.0.1" in signer.subject.rfc4514_string()
    without = nodes.WantedNode("127.0.0.1", tftp=False)
    first.run(lambda c: nodes.ensure(Transaction(c, first.context, "test"), [without], "present"))
    make_ctl(first)
    assert lists(first).certificates(Role.TFTP) == []
    assert first.store.read(lambda c: file_signer.current(Transaction(c, first.context))) is None


def test_p62_a_ctl_file_from_before_there_was_a_signer_stays_current_until_it_is_made_again(first: Record) -> None:
    make_ctl(first)
    file = lists(first)
    key = first.store.read(lambda c: tokens.load_key(first.context, tokens.current(c)[0]))
    records = [record for record in file.records if record.role != Role.TFTP]
    earlier = ctl.make(records, file.signer(), key, 0)
    first.run(lambda c: node_rows.keep_ctl_file(c, earlier, 0, 0))
    status = first.store.read(lambda c: ctl_file.status(Transaction(c, first.context)))
    assert status.state is ctl_file.Freshness.CURRENT
    assert first.store.read(lambda c: file_signer.current(Transaction(c, first.context))) is None
    assert make_ctl(first).reasons == ["no CTL file has listed the signer of phones' files yet"]
    assert not make_ctl(first).changed


def test_p62_a_signer_whose_key_is_missing_is_a_fault_and_signs_nothing(first: Record) -> None:
    make_ctl(first)
    signer = first.store.read(file_signer.certificate)
    assert signer is not None
    path = first.context.token_directory / f"{fingerprint(signer)}.key"
    path.unlink()
    (fault,) = first.store.read(lambda c: file_signer.faults(Transaction(c, first.context)))
    assert fault.problem == f"the key of the signer of phones' files is not on this server ({path})"
    assert first.store.read(lambda c: file_signer.current(Transaction(c, first.context))) is None
    assert not make_ctl(first).changed  # another server of this database may have the key


async def test_p62_signed_files_are_beside_the_others_in_the_tftp_directory(first: Record, tmp_path: Path) -> None:
    source, tftp = tmp_path / "source", tmp_path / "tftp"
    publisher = Publisher(first.store, first.context, Folder(source), tftp)
    await publisher.publish()
    assert [path.name for path in tftp.iterdir()] == [CONFIGURATION]
    make_ctl(first)
    await publisher.publish()
    before = (tftp / SIGNED).read_bytes()
    assert verified(first, before).content == (tftp / CONFIGURATION).read_bytes()
    again = Publisher(first.store, replace(first.context), Folder(source), tftp)
    written = (tftp / SIGNED).stat().st_mtime_ns
    await again.publish()
    assert (tftp / SIGNED).stat().st_mtime_ns == written
    first.plan()
    await again.publish()
    assert verified(first, (tftp / SIGNED).read_bytes()).content == (tftp / CONFIGURATION).read_bytes()
    new_signer(first)
    make_ctl(first)
    await again.publish()
    assert verified(first, (tftp / SIGNED).read_bytes()).serial_number != envelope.read(before).serial_number
    gone = [{"device_name": PHONE}]
    first.run(lambda c: phones.ensure(Transaction(c, first.context, "test"), gone, "absent"))
    await again.publish()
    assert list(tftp.iterdir()) == []


async def test_p62_the_default_configuration_is_served_as_it_is_on_every_way(first: Record, tmp_path: Path) -> None:
    source, own, tftp = Folder(tmp_path / "source"), tmp_path / "own", tmp_path / "tftp"
    first.context.own_files = own
    own.mkdir()
    assert (await ask(port(first, tmp_path), "GET", f"/{DEFAULT_CONFIGURATION}")).status == 404
    (own / DEFAULT_CONFIGURATION).write_bytes(b"<Default>\r\n</Default>")
    make_ctl(first)
    await Publisher(first.store, first.context, source, tftp).publish()
    answer = await ask(port(first, tmp_path), "GET", f"/{DEFAULT_CONFIGURATION}")
    assert answer.body == (tftp / DEFAULT_CONFIGURATION).read_bytes() == b"<Default>\r\n</Default>"
    assert verified(first, (tftp / f"{DEFAULT_CONFIGURATION}.sgn").read_bytes()).content == answer.body
    files = first.store.read(lambda c: published_files(Transaction(c, first.context), source, []))
    assert files == {DEFAULT_CONFIGURATION: answer.body}
    folder.check(files)


@pytest.mark.parametrize("size", [None, 1_000_001])
async def test_p62_a_default_configuration_that_cannot_be_used_is_not_served(
    first: Record, tmp_path: Path, size: int | None
) -> None:
    first.context.own_files = tmp_path
    path = tmp_path / DEFAULT_CONFIGURATION
    path.mkdir() if size is None else path.write_bytes(bytes(size))
    assert (await ask(port(first, tmp_path), "GET", f"/{DEFAULT_CONFIGURATION}")).status == 404


async def test_p62_signed_files_leave_the_tftp_directory_when_no_ctl_file_lists_the_signer(
    first: Record, tmp_path: Path
) -> None:
    publisher = Publisher(first.store, first.context, Folder(tmp_path / "source"), tmp_path / "tftp")
    make_ctl(first)
    await publisher.publish()
    assert (tmp_path / "tftp" / SIGNED).exists()
    without = nodes.WantedNode("127.0.0.1", tftp=False)
    first.run(lambda c: nodes.ensure(Transaction(c, first.context, "test"), [without], "present"))
    make_ctl(first)
    await publisher.publish()
    assert not (tmp_path / "tftp" / SIGNED).exists()


async def test_p62_a_subscriber_serves_signed_files_as_it_received_them(first: Record, tmp_path: Path) -> None:
    make_ctl(first)
    key = first.store.read(lambda c: file_signer.current(Transaction(c, first.context)))
    files = signed_files.with_signed_forms({CONFIGURATION: b"<device/>", "CTLFile.tlv": b""}, key)
    assert set(files) == {CONFIGURATION, SIGNED, "CTLFile.tlv"}
    folder.check({SIGNED: files[SIGNED]})
    Folder(tmp_path / "files").write({SIGNED: files[SIGNED]})
    first.context.first_node = False
    assert (await ask(port(first, tmp_path / "files"), "GET", f"/{SIGNED}")).body == files[SIGNED]
    assert (await ask(port(first, tmp_path / "files"), "GET", f"/{CONFIGURATION}")).status == 404


def test_p62_a_signed_file_for_another_name_is_not_received(first: Record) -> None:
    make_ctl(first)
    key = first.store.read(lambda c: file_signer.current(Transaction(c, first.context)))
    assert key is not None
    other = signed_files.sign("SEP00000000000B.cnf.xml", b"<device/>", key)
    for data, why in ((other, "its header is that of 'SEP00000000000B.cnf.xml.sgn'"), (b"x", "not a signed file")):
        with pytest.raises(InvalidRequestError, match=f"does not match the name {SIGNED}: {why}"):
            folder.check({SIGNED: data})
    with pytest.raises(InvalidRequestError, match=r"allowed: CTLFile.tlv, .*, and <name>.sgn for all but the first"):
        folder.check({"CTLFile.tlv.sgn": other})


def test_p62_a_signer_that_cannot_be_read_is_made_again_with_the_ctl_file(first: Record) -> None:
    make_ctl(first)
    first.run(lambda c: named_values.put(c, "file signer", "x"))
    (fault,) = first.store.read(lambda c: file_signer.faults(Transaction(c, first.context)))
    assert (fault.where, fault.problem) == ("table settings, file signer", "the certificate cannot be read")
    assert make_ctl(first).changed
    assert isinstance(first.store.read(file_signer.certificate), x509.Certificate)
    assert first.store.read(lambda c: file_signer.faults(Transaction(c, first.context))) == []
