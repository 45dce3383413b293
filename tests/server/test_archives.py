# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An incomplete backup is refused before anything is written (P34)."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from capf.administration import shared_keys
from capf.administration.backup import archive, making, restoring, sealing
from capf.administration.backup.archive import DATABASE, MANIFEST
from capf.certificates import authority, keystore
from capf.cluster import sharing
from capf.model import CapfError, ConflictError, InvalidRequestError
from capf.node.node_settings import NodeSettings
from capf.store import audit
from capf.store.engine import Store
from support.archives import (
    COST,
    PASSPHRASE,
    changed,
    closed,
    make_node,
    packed,
    settings_in,
    unpacked,
    with_database,
)
from support.record import NOW

pytestmark = pytest.mark.slow

FLIPS, KIB = 1000, 1024
FILLING = 290 * KIB
Files = dict[str, bytes]


@dataclass(frozen=True)
class Made:
    """A node's settings, and its backup in both formats."""

    settings: NodeSettings
    archives: dict[str | None, bytes]

    @property
    def plain(self) -> bytes:
        """The plain archive."""
        return self.archives[None]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A node and its backup of 300 kB."""
    settings = make_node(tmp_path_factory.mktemp("node") / "state", FILLING)
    target = io.BytesIO()
    with tempfile.TemporaryFile() as file:
        making.make(settings, file, None)
        file.seek(0)
        plain = file.read()
    content = b"".join(sealing.opened(io.BytesIO(plain), None)())
    outer = sealing.sealed(target, PASSPHRASE, COST)
    outer.write(content)
    outer.finish()
    assert min(len(plain), len(target.getvalue())) > 300_000
    return Made(settings, {None: plain, PASSPHRASE: target.getvalue()})


class Place:
    """An empty target of a restore."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.file = directory / "place", directory / "archive"
        self.directory.mkdir()
        self.settings = settings_in(self.directory / "state")

    def flip(self, bit: int) -> None:
        """Flip a bit of the archive."""
        with self.file.open("r+b") as file:
            file.seek(bit // 8)
            (byte,) = file.read(1)
            file.seek(bit // 8)
            file.write(bytes((byte ^ 1 << bit % 8,)))

    def restore(self, data: bytes | None, passphrase: str | None = None, *, dry_run: bool = False) -> archive.Manifest:
        """Restore an archive, by default the existing one."""
        if data is not None:
            self.file.write_bytes(data)
        return restoring.restore(self.settings, self.file, passphrase, dry_run=dry_run)

    def refusal(self, data: bytes | None, passphrase: str | None = None, *, dry_run: bool = False) -> str:
        """Return why an archive is refused, after checking that nothing was created."""
        with pytest.raises(CapfError) as refused:
            self.restore(data, passphrase, dry_run=dry_run)
        assert list(self.directory.iterdir()) == []
        return str(refused.value)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An empty target of a restore."""
    return Place(tmp_path)


forms = pytest.mark.parametrize("passphrase", [PASSPHRASE, None], ids=["encrypted", "plain"])


@forms
def test_p34_a_flipped_bit_is_refused_and_nothing_is_made(made: Made, place: Place, passphrase: str | None) -> None:
    data, draw = made.archives[passphrase], random.Random(34)
    place.file.write_bytes(data)
    first_and_last = [*range(8 * 40), *range(8 * (len(data) - 40), 8 * len(data))]
    for bit in [*draw.sample(range(8 * len(data)), FLIPS - len(first_and_last)), *first_and_last]:
        place.flip(bit)
        place.refusal(None, passphrase)
        place.flip(bit)
    assert place.restore(None, passphrase).files


@forms
def test_p34_a_cut_is_refused_at_every_kilobyte(made: Made, place: Place, passphrase: str | None) -> None:
    data = made.archives[passphrase]
    for length in [*range(0, len(data), KIB), len(data) - 1]:
        place.refusal(data[:length], passphrase)
    for more in (b"\0", data):
        place.refusal(data + more, passphrase)


def without(name: str) -> Callable[[dict[str, bytes]], bytes]:
    """Return a change that removes a file."""
    return lambda files: files.pop(name)


@forms
def test_p34_a_file_that_is_left_out_is_refused(made: Made, place: Place, passphrase: str | None) -> None:
    files = unpacked(made.plain, None)
    for name in files:
        left = {other: data for other, data in files.items() if other != name}
        said = place.refusal(closed(packed(left), passphrase), passphrase)
        assert "no manifest" in said if name == MANIFEST else f"lacks {name}" in said
    for name in ("capf.key", "strings.key", "administration.key", "administration.crt", DATABASE):
        assert f"lacks {name}" in place.refusal(changed(made.plain, without(name)))


def test_p34_a_file_that_was_changed_or_added_is_refused(made: Made, place: Place) -> None:
    files = unpacked(made.plain, None)
    other = {**files, "own/phone.xml": os.urandom(len(files["own/phone.xml"]))}
    assert "contains a different version of own/phone.xml" in place.refusal(closed(packed(other)))
    more = {"trusted/more.pem": files["capf.crt"], **files}
    assert "contains, in addition to its manifest, trusted/more.pem" in place.refusal(closed(packed(more)))
    after = {**files, "trusted/more.pem": files["capf.crt"]}
    assert "after its manifest" in place.refusal(closed(packed(after)))


def test_p34_links_and_odd_paths_are_refused(made: Made, place: Place) -> None:
    files = unpacked(made.plain, None)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
        link = tarfile.TarInfo("manufacturing/link")
        link.type, link.linkname = kind, "/etc/passwd"
        assert "it contains 'manufacturing/link'" in place.refusal(closed(packed(files, link)))
    odd = ("../outside", "/outside", "own/../x", "./x", "own//x", ".hidden/x", "capf.db-wal", "x.new", "a\nb", "lock")
    for name in odd:
        assert "it contains" in place.refusal(closed(packed({name: b"", **files})))


def test_p34_gzip_is_read_to_its_end(made: Made, place: Place) -> None:
    content = b"".join(sealing.opened(io.BytesIO(made.plain), None)())
    wrong_crc = content[:-5] + bytes((content[-5] ^ 1,)) + content[-4:]
    assert "its content cannot be unpacked" in place.refusal(closed(wrong_crc))
    longer = gzip.compress(gzip.decompress(content) + bytes(512) + b"more")
    assert "has data after its end" in place.refusal(closed(longer))
    assert "has data after its end" in place.refusal(closed(content + gzip.compress(b"more")))


def test_p34_chunks_cannot_be_moved_repeated_or_cut_off() -> None:
    head, size = 31, (1 << 16) + 16
    data = closed(os.urandom(300_000), PASSPHRASE)
    chunks = [data[at : at + size] for at in range(head, len(data), size)]
    assert len(chunks) > 4 and len(chunks[-1]) < size
    first, second, *rest = chunks
    for order in (
        [second, first, *rest],
        [first, first, second, *rest],
        [first, *rest],
        chunks[:-1],
        chunks[:-2],
        chunks[1:],
        [*chunks, chunks[-1]],
    ):
        with pytest.raises(CapfError, match="damaged or was changed"):
            sealing.opened(io.BytesIO(data[:head] + b"".join(order)), PASSPHRASE)
    assert b"".join(sealing.opened(io.BytesIO(data[:head] + b"".join(chunks)), PASSPHRASE)())


def test_p34_no_two_chunks_are_encrypted_alike() -> None:
    content = bytes(4 << 16)
    chunks = [closed(content, PASSPHRASE)[31:][at : at + (1 << 16)] for at in range(0, 4 << 16, (1 << 16) + 16)]
    assert len(set(chunks)) == len(chunks)
    assert closed(content, PASSPHRASE)[31:] != closed(content, PASSPHRASE)[31:]


def test_p34_the_passphrase_and_the_form_have_to_agree() -> None:
    encrypted, plain = closed(gzip.compress(b"secret"), PASSPHRASE), closed(gzip.compress(b"secret"))
    for data, passphrase, said in (
        (encrypted, "another passphrase", "not its passphrase"),
        (encrypted, None, "it is encrypted; give its passphrase"),
        (plain, PASSPHRASE, "it is not encrypted"),
        (plain[1:], None, "not a backup"),
    ):
        with pytest.raises(CapfError, match=said):
            sealing.opened(io.BytesIO(data), passphrase)
    for data, right in ((encrypted, PASSPHRASE), (plain, None)):
        assert b"".join(sealing.opened(io.BytesIO(data), right)()) == gzip.compress(b"secret")
    with pytest.raises(InvalidRequestError, match="at least 12 characters"):
        sealing.sealed(io.BytesIO(), "short", COST)


def replace(name: str, content: Callable[[Files], bytes]) -> Callable[[Files, Path], None]:
    """Return a change that replaces the content of a file."""

    def change(files: Files, _directory: Path) -> None:
        (found,) = [held for held in files if held.startswith(name)][:1]
        files[found] = content(files)

    return change


def statement(*texts: str) -> Callable[[Files, Path], None]:
    """Return a change of the database."""
    return lambda files, directory: with_database(files, directory, *texts)


def another_pair(files: Files) -> bytes:
    key, _own = authority.make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF")
    return keystore.key_pem(key) + files["capf.crt"]


def pages_swapped(files: Files) -> bytes:
    data, page = files[DATABASE], 4096
    return data[:page] + data[2 * page : 3 * page] + data[page : 2 * page] + data[3 * page :]


def token_keys(files: Files) -> list[bytes]:
    return [data for name, data in files.items() if name.startswith("tokens/")]


FAULTS = {
    "key": (replace("capf.key", another_pair), "capf.key"),
    "key-damaged": (replace("capf.key", lambda files: files["capf.key"][:300]), "capf.key"),
    "next": (replace("capf.next", another_pair), "capf.next"),
    "administration": (replace("administration.crt", lambda files: files["capf.crt"]), "administration.key"),
    "next-damaged": (replace("capf.next", lambda _files: b"no PEM"), "capf.next"),
    "manufacturing": (replace("manufacturing/", lambda _files: b"no PEM"), "PEM"),
    "strings": (replace("strings.key", lambda _files: os.urandom(32)), "strings.key does not decrypt"),
    "strings-short": (replace("strings.key", lambda _files: b"short"), "strings.key"),
    "token": (replace("tokens/", lambda _files: os.urandom(2000)), "security token"),
    "token-other": (replace("tokens/", lambda files: token_keys(files)[1]), "token"),
    "audit": (statement("UPDATE audit SET actor = 'nobody' WHERE id = 1"), "audit table was changed: row 1"),
    "audit-cut": (statement("DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)"), "audit table was changed"),
    "schema": (statement("UPDATE alembic_version SET version_num = '9999'"), "newer than this server"),
    "parent": (statement("PRAGMA foreign_keys = OFF", "DELETE FROM phones"), "refers to a row that does not exist"),
    "table": (
        statement("DROP TABLE settings", "DROP TABLE nodes"),
        "its tables do not have this server's schema",
    ),
    "empty": (replace(DATABASE, lambda _files: b""), "its database has no administrator"),
    "pages": (replace(DATABASE, pages_swapped), "its database is damaged"),
    "text": (replace(DATABASE, lambda _files: b"no database" * 1000), "its database is damaged"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_p34_an_archive_that_does_not_fit_together_is_refused(
    made: Made, place: Place, tmp_path: Path, fault: str
) -> None:
    change, said = FAULTS[fault]
    data = changed(made.plain, lambda files: change(files, tmp_path))
    for dry_run in (True, False):
        assert said in place.refusal(data, dry_run=dry_run)


def test_p34_a_dry_run_checks_everything_and_leaves_nothing(made: Made, place: Place) -> None:
    for passphrase, data in made.archives.items():
        assert DATABASE in place.restore(data, passphrase, dry_run=True).files
        assert list(place.directory.iterdir()) == []
    state = place.settings.state_directory
    state.mkdir()
    (state / "capf.db").touch()
    for dry_run in (True, False):
        with pytest.raises(ConflictError, match=r"capf.db already exists"):
            place.restore(made.plain, dry_run=dry_run)
        assert [path.name for path in state.iterdir()] == ["capf.db"]
    (state / "capf.db").unlink()
    held = place.restore(made.archives[PASSPHRASE], PASSPHRASE)
    for name, file in held.files.items():
        assert name == DATABASE or (state / name).stat().st_size == file.size
    assert not [path.name for path in state.iterdir() if path.name.startswith(".")]
    assert b"".join(sorted(path.read_bytes() for path in state.glob("*.key"))) == b"".join(
        sorted(path.read_bytes() for path in made.settings.state_directory.glob("*.key"))
    )
    store = Store(place.settings.database)
    assert store.read(audit.broken_row) is None
    store.close()
    with pytest.raises(ConflictError, match="already contains"):
        place.restore(made.plain)


def test_p34_parts_of_another_state_are_no_place_for_a_restore(made: Made, place: Place) -> None:
    trusted = place.settings.state_directory / "trusted"
    trusted.mkdir(parents=True)
    (trusted / "stranger.pem").write_bytes(b"the signer of this would be trusted")
    for dry_run in (True, False):
        with pytest.raises(ConflictError, match=r"is not empty: it contains trusted/stranger.pem"):
            place.restore(made.plain, dry_run=dry_run)
    assert [path.name for path in place.settings.state_directory.rglob("*")] == ["trusted", "stranger.pem"]


def test_p34_a_manifest_that_is_none_is_refused(made: Made, place: Place) -> None:
    files = unpacked(made.plain, None)
    for text in (
        b"",
        b"{}",
        b"[]",
        b"1",
        b"[" * 100_000,
        b"\xff",
        files[MANIFEST].replace(b'"format": 1', b'"format": 2'),
    ):
        assert place.refusal(closed(packed({**files, MANIFEST: text})))
    given = json.loads(files[MANIFEST])
    wrongs: tuple[dict[str, Any], ...] = ({"files": []}, {"files": {"capf.key": 1}}, {"files": {DATABASE: {"size": 1}}})
    for wrong in wrongs:
        assert place.refusal(closed(packed({**files, MANIFEST: json.dumps({**given, **wrong}).encode()})))


def test_p34_keys_of_another_server_are_checked_before_they_are_taken(made: Made, tmp_path: Path) -> None:
    whole = sharing.files(made.settings.state_directory)
    (token, *_other) = [name for name in whole if name.startswith("tokens/")]
    (issuer,) = [name for name in whole if name.startswith("manufacturing/")]
    shared_keys.check(whole, tmp_path)
    for name, content, said in (
        ("capf.key", whole["capf.key"][:500], "capf.key"),
        ("strings.key", os.urandom(32), f"{token}: strings.key does not decrypt it"),
        ("strings.key", b"short", "strings.key"),
        (token, os.urandom(1000), f"{token}: strings.key does not decrypt it"),
        (issuer, b"no PEM", "PEM"),
    ):
        with pytest.raises(CapfError, match=said):
            shared_keys.check({**whole, name: content}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_p34_no_copy_lies_in_a_temporary_directory(
    made: Made, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    file, said = making.spool(made.settings, None)
    with file:
        file.seek(0)
        data = file.read()
    assert (said.size, said.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert place.restore(data).files
    target = tmp_path / "backup"
    written = making.write(made.settings, target, None)
    assert (target.stat().st_mode & 0o777, target.stat().st_size) == (0o600, written.size)
    assert not [path.name for path in made.settings.state_directory.iterdir() if path.name.startswith(".")]


def test_p34_a_node_that_does_not_fit_together_is_not_backed_up(made: Made, tmp_path: Path) -> None:
    settings = settings_in(tmp_path / "state")
    shutil.copytree(made.settings.state_directory, settings.state_directory)
    (tmp_path / "state" / "strings.key").write_bytes(os.urandom(32))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CapfError, match=r"no backup can be made: strings.key does not decrypt the .* of 1 operation,"):
        making.write(settings, tmp_path / "backup", PASSPHRASE)
    assert sorted(tmp_path.rglob("*")) == before


def test_p34_a_large_archive_is_encrypted_in_bounded_memory() -> None:
    class Counter(io.RawIOBase):
        """Counts the bytes that are written to it."""

        size = 0

        def write(self, data: object) -> int:
            """Count."""
            self.size += len(data)  # type: ignore[arg-type]
            return len(data)  # type: ignore[arg-type]

    target = Counter()
    tracemalloc.start()
    outer = sealing.sealed(target, PASSPHRASE, COST)  # type: ignore[arg-type]
    piece = bytes(1 << 18)
    for _time in range(256):
        outer.write(piece)
    outer.finish()
    assert target.size > 256 << 18 and tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
