# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cipher suites that the CAPF port accepts (P20)."""

from __future__ import annotations

import os
import ssl
import time

import pytest

from capf.certificates.authority import make_capf_certificate
from capf.certificates.keystore import key_pem, pem
from capf.node import state

REFUSED = ("eNULL", "aNULL", "EXPORT", "LOW", "RC4", "3DES", "MD5")
LEAST_BITS = 128


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> state.StateDirectory:
    """A state directory with a CAPF key."""
    directory = state.StateDirectory(tmp_path_factory.mktemp("tls"))
    key, certificate = make_capf_certificate(os.urandom, time.time(), "ucm.capf", "CAPF")
    directory.capf_key.write_bytes(key_pem(key) + pem(certificate))
    return directory


def agreed(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """Return the cipher suite on which two ends agree in memory, None if they do not."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [server.wrap_bio(to_server, to_client, server_side=True), client.wrap_bio(to_client, to_server)]
    for _index in range(8):
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return None
    cipher = ends[0].cipher()
    return None if cipher is None else cipher[0]


@pytest.mark.parametrize("allow_tls_1_0", [False, True])
def test_p20_no_suite_lacks_encryption_or_authentication(directory: state.StateDirectory, allow_tls_1_0: bool) -> None:
    context = state.capf_tls(directory, allow_tls_1_0=allow_tls_1_0)
    suites = context.get_ciphers()
    assert len(suites) > 5
    for suite in suites:
        assert suite["strength_bits"] >= LEAST_BITS, suite
        assert not {"NULL", "EXP", "RC4", "DES", "MD5", "ADH", "AECDH"} & set(suite["name"].split("-")), suite
    offered = 0
    for group in REFUSED:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        try:
            client.set_ciphers(f"{group}:@SECLEVEL=0")
        except ssl.SSLError:
            continue
        offered += 1
        assert agreed(context, client) is None, group
    assert offered >= 2
    strong = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    strong.check_hostname, strong.verify_mode = False, ssl.CERT_NONE
    assert agreed(context, strong) is not None
