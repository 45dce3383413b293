# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keys for simulated phones: generated normally, or combined from a pool of primes if thousands are needed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from threading import Lock

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from capf.model import CapfError, KeySpec

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
CURVES: dict[int, type[ec.EllipticCurve]] = {256: ec.SECP256R1, 384: ec.SECP384R1, 521: ec.SECP521R1}
_EXPONENT = 65537


class PoolExhaustedError(CapfError):
    """Every pair of the pool's primes has been used."""


class KeyMaker:
    """Makes keys. A ``pool`` of n primes per size yields n·(n-1)/2 RSA keys, each used once, at almost no cost.

    Such keys share primes and are not secure; the lab warns about that when it starts.
    """

    def __init__(self, pool: int = 0) -> None:
        """``pool``: number of primes per RSA key size; 0 generates every key normally."""
        self._size = pool
        self._pairs: dict[int, Iterator[tuple[int, int]]] = {}
        self._lock = Lock()

    def make(self, spec: KeySpec) -> PrivateKey:
        """Return a new key; PoolExhaustedError if the pool has no unused pair of primes. Thread-safe."""
        if spec.ec:
            return ec.generate_private_key(CURVES[spec.bits]())
        if not self._size:
            return rsa.generate_private_key(_EXPONENT, spec.bits)
        with self._lock:
            if spec.bits not in self._pairs:
                self._pairs[spec.bits] = itertools.combinations(_primes(spec.bits, self._size), 2)
            pair = next(self._pairs[spec.bits], None)
        if pair is None:
            raise PoolExhaustedError(f"the pool of {self._size} primes has no RSA {spec.bits} key left")
        return _from_primes(*pair)


def _primes(bits: int, count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        numbers = rsa.generate_private_key(_EXPONENT, bits).private_numbers()
        found += [numbers.p, numbers.q]
    return found[:count]


def _from_primes(first: int, second: int) -> rsa.RSAPrivateKey:
    p, q = max(first, second), min(first, second)
    d = pow(_EXPONENT, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)
