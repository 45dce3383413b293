# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""No certificate for a weak key, one test per refusal (P7)."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from capf.certificates.authority import Authority, make_capf_certificate
from capf.certificates.weak import weakness
from capf.model import KeySpec, LintError
from capf_lab.keys import CURVES
from support.record import NOW, PHONE, Record, public_key

RSA_2048, EC_256 = KeySpec(ec=False, bits=2048), KeySpec(ec=True, bits=256)
GOOD = rsa.generate_private_key(65537, 2048).private_numbers()
P, Q, N = GOOD.p, GOOD.q, GOOD.public_numbers.n


@pytest.fixture(scope="module")
def authority() -> Authority:
    """A signer."""
    return Authority(*make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF"), os.urandom)


def der(key: PublicKeyTypes) -> bytes:
    """Return a public key in the form that phones send."""
    return bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def numbers(exponent: int, modulus: int) -> bytes:
    """Return an RSA public key with any numbers."""
    return der(rsa.RSAPublicNumbers(exponent, modulus).public_key())


def primorial_prime(bits: int) -> int:
    """Return a number in the form of the broken key generator: a power of 65537 modulo many small primes."""
    modulus = 1
    for prime in range(2, 180):
        if all(prime % divisor for divisor in range(2, prime)):
            modulus *= prime
    power = pow(65537, 123457, modulus)
    return power + modulus * (1 << (bits - modulus.bit_length()))


def next_prime(number: int) -> int:
    """Return the first prime after a number, by Fermat's test."""
    number |= 1
    while pow(2, number - 1, number) != 1:
        number += 2
    return number


def test_p7_a_key_as_scheduled_is_signed(authority: Authority) -> None:
    assert authority.sign(PHONE, numbers(65537, N), [RSA_2048], 5, NOW).key == RSA_2048
    assert weakness(GOOD.public_numbers) is None


OFF_CURVE = bytearray(der(ec.generate_private_key(CURVES[256]()).public_key()))
OFF_CURVE[-1] ^= 1
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "another size": (lambda: public_key(1024), "the key is RSA 1024; RSA 2048 is scheduled"),
    "another type": (lambda: der(ec.generate_private_key(CURVES[256]()).public_key()), "the key is EC P-256"),
    "an Edwards curve": (lambda: der(ed25519.Ed25519PrivateKey.generate().public_key()), "neither RSA nor EC"),
    "a DSA key": (lambda: der(dsa.generate_private_key(1024).public_key()), "neither RSA nor EC"),
    "another curve": (lambda: der(ec.generate_private_key(ec.SECP256K1()).public_key()), "neither RSA nor EC"),
    "a point off the curve": (lambda: bytes(OFF_CURVE), "cannot be read"),
    "bytes that are no key": (lambda: b"\x30\x03\x02\x01\x01", "cannot be read"),
    "an unknown algorithm": (lambda: bytes.fromhex("300c300706052a03040506030100"), "cannot be read"),
    "the exponent 3": (lambda: numbers(3, N), "the RSA exponent is 3"),
    "the exponent 17": (lambda: numbers(17, N), "the RSA exponent is 17"),
    "a huge exponent": (lambda: numbers((1 << 300) + 1, N), "the RSA exponent is"),
    "close primes": (lambda: numbers(65537, (q := next_prime(3 << 1022)) * next_prime(q + 2)), "close to each other"),
}


def small_factor() -> int:
    """Return a number of 2048 bits that 1999 divides and 2 does not."""
    return (((1 << 2047) // 1999) | 1) * 1999


REFUSED["a small factor"] = (lambda: numbers(65537, small_factor()), "small factor")


SLOW = {"close primes": pytest.mark.slow}


@pytest.mark.parametrize("case", [pytest.param(case, marks=SLOW.get(case, ())) for case in REFUSED])
def test_p7_a_key_that_is_not_as_scheduled_or_weak_is_refused(authority: Authority, case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(LintError, match=message):
        authority.sign(PHONE, make(), [RSA_2048], 5, NOW)


@pytest.mark.parametrize("exponent", [2, 4, 65536, 65538])
def test_p7_an_even_exponent_is_refused(exponent: int) -> None:
    assert "exponent" in str(weakness(rsa.RSAPublicNumbers(exponent, N)))


def test_p7_an_even_modulus_is_refused() -> None:
    assert weakness(rsa.RSAPublicNumbers(65537, N - 1)) == "the RSA modulus has a small factor"


def test_p7_primes_of_the_broken_generator_are_known_by_their_fingerprint() -> None:
    first, second = primorial_prime(1024), primorial_prime(1025)
    assert "ROCA" in str(weakness(rsa.RSAPublicNumbers(65537, first * second)))


@pytest.mark.parametrize("again", ["the same phone", "another phone"])
def test_p7_a_key_that_had_a_certificate_is_refused(record: Record, again: str) -> None:
    key = public_key()
    second = PHONE if again == "the same phone" else "SEP001122334466"
    for name in dict.fromkeys((PHONE, second)):
        record.add(name)
    record.plan(PHONE)
    first = record.grant().hold
    assert record.issue(first, key) is not None
    record.confirm(first)
    record.plan(second, force=True)
    assert record.issue(record.grant(second).hold, key) is None
    assert record.operation(second)["problem"] == "the key already has a certificate"
    assert record.operation(second)["status"] == "Upgrade Failed"
