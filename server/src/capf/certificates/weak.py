# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detects weak RSA keys, for which no certificate must be signed."""

from __future__ import annotations

import math

from cryptography.hazmat.primitives.asymmetric import rsa

_SMALLEST_EXPONENT = 65537
_EXPONENT_BITS = 256
_FERMAT_ROUNDS = 100
_SMALL_PRIMES = math.prod(n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1)))
_SQUARES = frozenset(n * n % 256 for n in range(256))
"""The possible last bytes of a square; for other numbers, no root has to be computed."""


def _powers(prime: int) -> frozenset[int]:
    """Return the subgroup that 65537 generates modulo ``prime``."""
    found, value = set[int](), 1
    while value not in found:
        found.add(value)
        value = value * 65537 % prime
    return frozenset(found)


_ROCA_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
                107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167)  # fmt: skip
_ROCA = tuple((prime, _powers(prime)) for prime in _ROCA_PRIMES)


def weakness(numbers: rsa.RSAPublicNumbers) -> str | None:
    """Return why an RSA key is refused, None if it has no known weakness."""
    exponent, modulus = numbers.e, numbers.n
    if exponent < _SMALLEST_EXPONENT or exponent % 2 == 0 or exponent.bit_length() > _EXPONENT_BITS:
        return f"the RSA exponent is {exponent}; an odd number from 65537 to 256 bits is allowed"
    if math.gcd(modulus, _SMALL_PRIMES) > 1:
        return "the RSA modulus has a small factor"
    if all(modulus % prime in powers for prime, powers in _ROCA):
        return "the RSA modulus comes from a broken key generator (ROCA)"
    if _primes_are_close(modulus):
        return "the primes of the RSA modulus are close to each other"
    return None


def _primes_are_close(modulus: int) -> bool:
    """Return whether there are factors close to the square root (Fermat's method)."""
    middle = math.isqrt(modulus - 1) + 1
    rest = middle * middle - modulus
    for _round in range(_FERMAT_ROUNDS):
        if rest & 0xFF in _SQUARES and math.isqrt(rest) ** 2 == rest:
            return True
        rest += 2 * middle + 1
        middle += 1
    return False
