# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF keys and certificates on disk: active, next and still trusted ones, and the issuers of MICs (R1, R3).

A key and its certificate are always in one file, and every file is replaced atomically, so a crash leaves either the
earlier or the new file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from capf.certificates import authority
from capf.model import CapfError, DamagedError, Fault, InvalidRequestError, Problem

UNFINISHED = ".new"
RESTORE = "restore it from a backup and restart the server"
SECRET, _PUBLIC = 0o600, 0o644


def write_whole(path: Path, data: bytes, mode: int = _PUBLIC) -> None:
    """Write a file atomically: readers see the earlier or the complete new file, even after a crash."""
    unfinished = path.with_name(path.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    unfinished.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM."""
    none = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)


def certificates(path: Path) -> list[x509.Certificate]:
    """Return the certificates of a PEM file; InvalidRequestError if it cannot be read."""
    try:
        return certificates_in(path.read_bytes(), str(path))
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); give a readable file with certificates in PEM"
        raise InvalidRequestError([Problem("certificates", str(path), message)]) from None


def certificates_in(data: bytes, name: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM text that came from ``name``; InvalidRequestError if it is not valid."""
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        message = f"{name} holds no certificates in PEM; give a file whose certificates are all in PEM"
        raise InvalidRequestError([Problem("certificates", name, message)]) from None


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CAPF key with its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        """Both as PEM."""
        return key_pem(self.key) + pem(self.certificate)

    @classmethod
    def load(cls, path: Path) -> KeyPair:
        """Read both; CapfError if they are missing, do not match, or can be read by others."""
        check_mode(path)
        try:
            data = path.read_bytes()
            key = serialization.load_pem_private_key(data, None)
            certificate = x509.load_pem_x509_certificate(data)
            fits = certificate.public_key() == key.public_key()
            authority.file_names(certificate)
        except OSError as error:
            raise CapfError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, TypeError, IndexError, UnsupportedAlgorithm):
            raise CapfError(f"{path} does not contain a CAPF key and its certificate in PEM") from None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise CapfError(f"{path}: the CAPF key is not RSA")
        if not fits:
            raise CapfError(f"{path}: the certificate does not belong to the key")
        return cls(key, certificate)


def check_mode(path: Path) -> None:
    """Raise CapfError if the file is missing or others can read it."""
    try:
        mode = path.stat().st_mode
    except OSError:
        raise CapfError(f"{path} is missing; `capf init` creates it") from None
    if mode & 0o077:
        raise CapfError(f"{path} can be read by others; its mode must be 0600")


class CertificateFolder:
    """A directory of PEM files; the server writes one certificate per file, named by its fingerprint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> list[x509.Certificate]:
        """Return every certificate once, in the order of file names."""
        return list(dict.fromkeys(item for held in self._files().values() for item in held or ()))

    def unreadable(self) -> list[Path]:
        """Return the files that cannot be read; their certificates are not trusted."""
        return [path for path, held in self._files().items() if held is None]

    def _files(self) -> Mapping[Path, list[x509.Certificate] | None]:
        """Return the certificates of each file, None if it cannot be read."""
        if self._path.exists() and not self._path.is_dir():
            return {self._path: None}
        found: dict[Path, list[x509.Certificate] | None] = {}
        for path in sorted(self._path.glob("*.pem")):
            try:
                found[path] = certificates(path)
            except InvalidRequestError:
                found[path] = None
        return found

    def add(self, wanted: Iterable[x509.Certificate]) -> None:
        """Add certificates; existing ones are kept. DamagedError if the directory is a file."""
        try:
            self._path.mkdir(exist_ok=True)
        except FileExistsError:
            raise DamagedError(_unreadable(self)[0]) from None
        known = self.all()
        for certificate in wanted:
            if certificate not in known:
                write_whole(self._path / f"{fingerprint(certificate)}.pem", pem(certificate))

    def remove(self, unwanted: Iterable[x509.Certificate]) -> None:
        """Remove certificates, in any file."""
        gone = set(unwanted)
        for path, held in self._files().items():
            if held is None:
                continue
            kept = [certificate for certificate in held if certificate not in gone]
            if not kept:
                path.unlink()
            elif kept != held:
                write_whole(path, b"".join(map(pem, kept)))


class Keystore:
    """The CAPF keys and certificates of one state directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.issuing_file = directory / "capf.key"
        self._next_file = directory / "capf.next"
        self.earlier = CertificateFolder(directory / "trusted")
        self.manufacturing = CertificateFolder(directory / "manufacturing")

    def issuing(self) -> KeyPair:
        """Return the active key."""
        return KeyPair.load(self.issuing_file)

    def next(self) -> KeyPair | None:
        """Return the next key, None if none is prepared; CapfError as above."""
        return KeyPair.load(self._next_file) if self._next_file.exists() else None

    def faults(self) -> list[Fault]:
        """Return the faults of keys and certificates; administration runs in spite of them."""
        try:
            self.issuing()
        except CapfError as error:
            return [Fault(str(self.issuing_file), str(error), RESTORE, stops_capf=True), *self._other_faults()]
        return self._other_faults()

    def _other_faults(self) -> list[Fault]:
        return [*self._trust_faults(), *_unreadable(self.manufacturing)]

    def _trust_faults(self) -> list[Fault]:
        """Return the faults that prevent a CTL file: without their certificates, phones would no longer trust these."""
        found = _unreadable(self.earlier)
        try:
            self.next()
        except CapfError as error:
            todo = f"discard it with ucm.capf.capf_certificate and prepare it again, or {RESTORE}"
            found.append(Fault(str(self._next_file), str(error), todo))
        return found

    @property
    def has_next(self) -> bool:
        """Return whether a next key is prepared, readable or not."""
        return self._next_file.exists()

    def prepare(self, now: float) -> None:
        """Create the next key and its certificate."""
        pair = KeyPair(*authority.make_capf_certificate(os.urandom, now, "ucm.capf", "CAPF"))
        write_whole(self._next_file, pair.pem, SECRET)

    def discard(self) -> None:
        """Remove the next key."""
        self._next_file.unlink(missing_ok=True)

    def _readable_next(self) -> x509.Certificate | None:
        try:
            following = self.next()
        except CapfError:
            return None
        return None if following is None else following.certificate

    def activate(self) -> None:
        """Activate the next key with an atomic rename, after adding the earlier certificate to the trusted ones."""
        self.earlier.add([self.issuing().certificate])
        self._next_file.replace(self.issuing_file)
        self.publish()

    def issue_with(self, pair: KeyPair) -> None:
        """Activate this key in a new state directory."""
        write_whole(self.issuing_file, pair.pem, SECRET)
        self.publish()

    def publish(self) -> None:
        """Write the active certificate under each of its names, unless it is already there (R3)."""
        certificate = self.issuing().certificate
        data = pem(certificate)
        for name in authority.file_names(certificate):
            self._put(name, data)
        self._put("CAPF.cer", certificate.public_bytes(serialization.Encoding.DER))
        self._put("capf.crt", data)

    def _put(self, name: str, data: bytes) -> None:
        path = self._directory / name
        if not path.exists() or path.read_bytes() != data:
            write_whole(path, data)

    def authority(self) -> authority.Authority:
        """Return the signer; CapfError if a key is missing or others can read it."""
        pair = self.issuing()
        return authority.Authority(
            pair.key,
            pair.certificate,
            os.urandom,
            earlier=[item for item in self.earlier.all() if item != pair.certificate],
            manufacturing=self.manufacturing.all(),
            following=self._readable_next(),
            unreadable=self._trust_faults(),
        )


def _unreadable(folder: CertificateFolder) -> list[Fault]:
    problem = "it does not contain readable PEM certificates, so none of them is trusted"
    return [Fault(str(path), problem, f"remove it, or {RESTORE}") for path in folder.unreadable()]
