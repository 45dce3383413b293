# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CTL file, compared with files made by an independent tool."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from capf.certificates import ctl
from capf.certificates.ctl import CtlError, Record, Role
from capf.certificates.signatures import Digest
from capf_lab.manufacturing import Maker

VECTORS = Path(__file__).parents[1] / "vectors"
FILES = sorted((VECTORS / "ctl").glob("*.tlv"))
DATA = FILES[0].read_bytes()


def certificate(name: str) -> x509.Certificate:
    """Return one of the recorded certificates."""
    return x509.load_pem_x509_certificate((VECTORS / "certificates" / f"{name}.crt").read_bytes())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_recorded_files_are_read_verified_and_remade(path: Path) -> None:
    data = path.read_bytes()
    file = ctl.read(data)
    assert file.signer() == certificate("sast1")
    assert file.certificates(Role.SAST) == [certificate("sast1"), certificate("sast2")]
    assert file.certificates(Role.CAPF) == [certificate("capf")]
    assert file.certificates(Role.CCM_TFTP) == [certificate("ccm")]
    assert b"".join(map(ctl.encode_record, file.records)) == data[int.from_bytes(data[8:10], "big") :]


def test_the_recorded_files_have_every_digest_and_signer_version() -> None:
    files = [ctl.read(path.read_bytes()) for path in FILES]
    kinds = {(file.digest, file.signer_version) for file in files}
    assert len(files) == 3 and {digest for digest, _version in kinds} == {Digest.SHA1, Digest.SHA512}
    assert {version for _digest, version in kinds} == {(1, 0), (1, 1)}


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """A security token."""
    return Maker.open_or_make(tmp_path_factory.mktemp("token"), "Token")


@pytest.mark.parametrize("digest", Digest)
@pytest.mark.parametrize("version", [(1, 0), (1, 1)])
@pytest.mark.parametrize("timestamp", [1_800_000_000, 0x0D0D0D0D, 13])
def test_a_file_of_our_own_is_read_again(
    token: Maker, digest: Digest, version: tuple[int, int], timestamp: int
) -> None:
    records = [Record(Role.SAST, token.certificate), Record(Role.CAPF, certificate("capf"), "node1")]
    data = ctl.make(records, token.certificate, token.key, timestamp, digest=digest, signer_version=version)
    file = ctl.read(data)
    assert file.records == tuple(records)
    assert (file.digest, file.signer_version, file.timestamp) == (digest, version, timestamp)
    assert file.signer() == token.certificate
    assert int.from_bytes(data[8:10], "big") % 4 == 0


def test_a_phone_refuses_a_file_of_a_token_that_its_own_does_not_list(token: Maker) -> None:
    data = ctl.make([Record(Role.SAST, token.certificate)], token.certificate, token.key, int(time.time()))
    with pytest.raises(CtlError, match="not signed by a known security token"):
        ctl.read(data).signer(ctl.read(DATA).certificates(Role.SAST))


def test_the_signers_record_has_to_be_there(token: Maker) -> None:
    with pytest.raises(CtlError, match="no record"):
        ctl.make([Record(Role.CAPF, certificate("capf"))], token.certificate, token.key, 0)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_changed_byte_is_never_accepted(position: int, change: int) -> None:
    damaged = bytearray(DATA)
    damaged[position] ^= change
    try:
        file = ctl.read(bytes(damaged))
        signer = file.signer([certificate("sast1"), certificate("sast2")])
    except CtlError:
        return
    assert (signer, file.records) == (certificate("sast1"), ctl.read(DATA).records)


def test_p14_a_signer_whose_key_cannot_be_read_is_refused() -> None:
    token = certificate("sast1")
    der = token.public_bytes(Encoding.DER)
    key = token.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    damaged = bytearray(DATA)
    damaged[DATA.index(der) + der.index(key)] ^= 0x11
    with pytest.raises(CtlError, match="must have an RSA or EC key"):
        ctl.read(bytes(damaged)).signer()


@given(st.binary(max_size=200), st.integers(0, len(DATA)))
def test_any_bytes_are_a_file_or_one_error(data: bytes, length: int) -> None:
    for given_bytes in (data, DATA[:length], DATA[:length] + data):
        try:
            ctl.read(given_bytes)
        except CtlError:
            continue
