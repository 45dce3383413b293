# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The signed envelope, compared with files made by independent tools (P62)."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from capf.certificates import ctl, envelope
from capf.certificates.envelope import EnvelopeError, Label
from capf.certificates.signatures import Digest, KeptSignatures, SigningKey, SigningKeyError

VECTORS = Path(__file__).parents[1] / "vectors" / "files"
INDEX = json.loads((VECTORS / "index.json").read_text())
DIGESTS = {"sha1": Digest.SHA1, "sha512": Digest.SHA512}
NAME = "SEP001122334455.cnf.xml"
DATA = (VECTORS / "signed" / f"tftp-2048.sha1.{NAME}.sgn").read_bytes()


def certificate(name: str) -> x509.Certificate:
    """Return one of the recorded certificates."""
    return x509.load_pem_x509_certificate((VECTORS / "certs" / f"{name}.crt.pem").read_bytes())


def successor_of(name: str) -> x509.Certificate:
    """Return a certificate with the names and the key of a recorded one, and another serial number."""
    old = certificate(name)
    builder = x509.CertificateBuilder(old.issuer, old.subject, old.public_key(), old.serial_number + 1)
    dated = builder.not_valid_before(old.not_valid_before_utc).not_valid_after(old.not_valid_after_utc)
    return dated.sign(key(name), SHA256())


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """Return the key of one of the recorded certificates."""
    found = load_pem_private_key((VECTORS / "certs" / f"{name}.key.pem").read_bytes(), None)
    assert isinstance(found, rsa.RSAPrivateKey)
    return found


def signer(item: dict[str, Any], **options: Any) -> SigningKey:
    """Return the key that signed a recorded file."""
    return SigningKey(certificate(item["signer"]), key(item["signer"]), DIGESTS[item["digest"]], **options)


def of(folder: dict[str, Any], suffix: str) -> bytes:
    """Return the file with a suffix of a recorded folder."""
    path: Path = VECTORS / folder["folder"] / f"{NAME}{suffix}"
    return path.read_bytes()


@pytest.mark.parametrize("item", INDEX["signed"], ids=lambda item: item["file"].removeprefix("signed/"))
def test_p62_recorded_signed_files_are_remade_byte_for_byte_verified_and_stripped(item: dict[str, Any]) -> None:
    recorded = (VECTORS / item["file"]).read_bytes()
    content = b"" if item["payload"] is None else (VECTORS / item["payload"]).read_bytes()
    assert envelope.make(content, Label(item["file_name"], INDEX["time"]), signer(item)) == recorded
    file = envelope.read(recorded)
    assert file.label == Label(item["file_name"], INDEX["time"])
    assert (file.digest, file.content) == (DIGESTS[item["digest"]], content)
    assert len(recorded) - len(content) == item["header_length"]
    everybody = [certificate(name) for name in ("unknown", "tftp-ec", "tftp-1024", "tftp-2048", item["signer"])]
    assert envelope.verify(file, everybody) == certificate(item["signer"])


def test_p62_the_recorded_files_have_every_digest_and_size_of_key() -> None:
    kinds = {(key(item["signer"]).key_size, item["digest"]) for item in INDEX["signed"]}
    assert kinds >= {(size, digest) for size in (1024, 2048, 4096) for digest in DIGESTS}


@pytest.mark.parametrize("item", INDEX["encrypted"], ids=lambda item: item["folder"].removeprefix("encrypted/"))
def test_p62_recorded_encrypted_files_and_their_short_ones_are_remade(item: dict[str, Any]) -> None:
    for suffix, bits in ((".sgn", None), (".enc.sgn", key(item["phone"]).key_size)):
        recorded = of(item, suffix)
        file = envelope.read(recorded)
        assert (file.key_bits, file.label.file_name) == (bits, f"{NAME}{suffix}")
        assert envelope.verify(file, [certificate(item["signer"])]) == certificate(item["signer"])
        assert envelope.make(file.content, file.label, signer(item)) == recorded


@pytest.mark.parametrize("item", INDEX["lists"], ids=lambda item: item["file"].removeprefix("itl/"))
def test_p62_recorded_lists_have_the_same_header(item: dict[str, Any]) -> None:
    recorded = (VECTORS / item["file"]).read_bytes()
    file = envelope.read(recorded)
    assert envelope.make(file.content, file.label, signer(item)) == recorded
    assert ctl.read(recorded).signer() == certificate(item["signer"])


def test_p62_a_header_without_signer_version_is_version_1_0() -> None:
    token = certificate("sast-1")
    record = ctl.encode_record(ctl.Record(ctl.Role.SAST, token))
    label = Label(ctl.FILE_NAME, 0, envelope.LIST)
    old = ctl.read(envelope.make(record, label, SigningKey(token, key("sast-1"), Digest.SHA1)))
    assert (old.signer_version, old.signer()) == ((1, 0), token)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_p62_a_changed_byte_is_never_accepted(position: int, change: int) -> None:
    damaged = bytearray(DATA)
    damaged[position] ^= change
    with pytest.raises(EnvelopeError):
        envelope.verify(envelope.read(bytes(damaged)), [certificate("tftp-2048")])


@given(st.binary(max_size=200), st.integers(0, len(DATA)))
def test_p62_any_bytes_are_a_signed_file_or_one_error(data: bytes, length: int) -> None:
    for given_bytes in (data, DATA[:length], DATA[:length] + data):
        try:
            envelope.read(given_bytes)
        except EnvelopeError:
            continue


def test_p62_a_wrong_signer_and_a_wrong_signature_are_named() -> None:
    file = envelope.read(DATA)
    with pytest.raises(EnvelopeError, match=r"names 'CN=.*' \(serial number .*\) as its signer, which is not among"):
        envelope.verify(file, [certificate("unknown"), certificate("tftp-ec"), successor_of("tftp-2048")])
    with pytest.raises(EnvelopeError, match="the signature is invalid: the file was changed, or 'CN="):
        envelope.verify(envelope.read(DATA + b"\n"), [certificate("tftp-2048")])


def test_p62_the_names_of_a_header_may_be_joined_by_semicolons() -> None:
    item = next(item for item in INDEX["signed"] if item["signer"] == "tftp-2048")
    token = certificate(item["signer"])
    commas = envelope.name_text(token.issuer).encode()
    before, after = DATA.split(commas + b"\0\x05")
    by_cisco = envelope.read(before + commas.replace(b",", b";") + b"\0\x05" + after)
    with pytest.raises(EnvelopeError, match="the signature is invalid"):  # recognised, but changed after signing
        envelope.verify(by_cisco, [token])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<device/>", "not a signed file"),
        (DATA[:200], "the signed file's header exceeds the file"),
        (DATA.replace(b"\x0f\x00\x04", b"\x30\x00\x04", 1), "the signed file's header is incomplete"),
        (DATA.replace(b"\x04\x00", b"\x04\xff", 1), "the signed file is damaged at byte 13"),
    ],
    ids=["other", "cut", "without a time", "length"],
)
def test_p62_a_damaged_file_is_named(data: bytes, message: str) -> None:
    with pytest.raises(EnvelopeError, match=f"^{message}$"):
        envelope.read(data)


def test_p62_only_keys_that_a_header_can_name_sign() -> None:
    odd = rsa.generate_private_key(65537, 3072)
    with pytest.raises(SigningKeyError, match="has 3072 bits; allowed: 512, 1024, 2048, 4096"):
        SigningKey(certificate("tftp-2048"), odd, Digest.SHA1)


def test_p62_a_header_that_would_be_too_long_is_refused() -> None:
    item = INDEX["signed"][0]
    with pytest.raises(EnvelopeError, match=r"its header has 6\d{4} bytes; allowed: at most 65535"):
        envelope.make(b"", Label("x" * 65_500, 0), signer(item))


def test_p62_signatures_are_kept_by_content_and_key_and_bounded() -> None:
    kept = KeptSignatures(2)
    items = [item for item in INDEX["signed"] if item["file_name"] == f"{NAME}.sgn"]
    files = [envelope.make(b"", Label("a", 0), signer(item, kept=kept)) for item in items]
    assert files == [envelope.make(b"", Label("a", 0), signer(item)) for item in items]
    assert len(set(files)) == len(items) > len(kept) == 2
    made = list[bytes]()

    def computed(content: bytes) -> bytes:
        made.append(content)
        return content

    for content in (b"1", b"2", b"1", b"3", b"1", b"2"):
        assert kept.get((content,), partial(computed, content)) == content
    assert made == [b"1", b"2", b"3", b"2"]
