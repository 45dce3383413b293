# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``capf file``: files of independent tools are shown, verified and stripped (P62)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[1] / "vectors" / "files"
NAME = "SEP001122334455.cnf.xml"
SIGNED = VECTORS / "signed" / f"tftp-2048.sha512.{NAME}.sgn"
LIST = VECTORS / "itl" / "v1.0-sha1" / "ITLFile.tlv"


def run(*argv: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run ``capf file``."""
    return subprocess.run([sys.executable, "-m", "capf.command_line.main", "file", *map(str, argv)],
                          capture_output=True, check=False)  # fmt: skip


def certificate(name: str) -> Path:
    """Return the file of one of the recorded certificates."""
    return VECTORS / "certs" / f"{name}.crt.pem"


def test_p62_show_says_what_the_header_says() -> None:
    shown = run("show", SIGNED, "--json")
    assert shown.returncode == 0, shown.stderr
    said = json.loads(shown.stdout)
    assert (said["kind"], said["version"], said["file_name"]) == ("signed file", "1.0", f"{NAME}.sgn")
    assert (said["digest"], said["signature_bits"]) == ("SHA-512", 2048)
    assert said["header_bytes"] + said["content_bytes"] == SIGNED.stat().st_size
    words = run("show", SIGNED).stdout.decode()
    assert f"file name       {NAME}.sgn\n" in words and "signature bits  2048\n" in words
    encrypted = json.loads(run("show", VECTORS / "encrypted" / "sha1" / f"{NAME}.enc.sgn", "--json").stdout)
    assert (encrypted["kind"], encrypted["phone_key_bits"]) == ("encrypted and signed file", 2048)
    listed = json.loads(run("show", LIST, "--json").stdout)
    assert (listed["kind"], listed["signer_version"]) == ("CTL or ITL file", "1.0")


@pytest.mark.parametrize(
    ("trust", "path"),
    [
        (("--ctl", LIST), SIGNED),
        (("--certificate", certificate("tftp-2048")), SIGNED),
        (("--ctl", VECTORS / "itl" / "v1.1-sha512" / "ITLFile.tlv"), LIST),
    ],
    ids=["list", "certificate", "list by list"],
)
def test_p62_verify_accepts_what_a_phone_accepts(trust: tuple[str, Path], path: Path) -> None:
    done = run("verify", path, *trust)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith(f"{path}: valid, signed by CN=")


def test_p62_verify_fails_with_what_is_wrong(tmp_path: Path) -> None:
    changed, stranger = tmp_path / "changed.sgn", VECTORS / "signed" / f"tftp-1024.sha1.{NAME}.sgn"
    changed.write_bytes(SIGNED.read_bytes().replace(b"<device>", b"<Device>"))
    cases = [
        (changed, "the signature is invalid: the file was changed, or 'CN="),
        (stranger, "as its signer, which is not among the trusted certificates"),
        (VECTORS / "config" / NAME, "not a signed file"),
    ]
    for path, why in cases:
        done = run("verify", path, "--ctl", LIST)
        assert (done.returncode, done.stdout) == (1, b"")
        assert f"capf: {path}: " in done.stderr.decode() and why in done.stderr.decode()
    not_a_list = run("verify", SIGNED, "--ctl", SIGNED)
    assert not_a_list.returncode == 1 and f"capf: {SIGNED}: not a CTL file" in not_a_list.stderr.decode()


def test_p62_strip_writes_the_content_and_no_file_that_exists(tmp_path: Path) -> None:
    content = (VECTORS / "config" / NAME).read_bytes()
    assert run("strip", SIGNED).stdout == content
    assert run("strip", SIGNED, "--to", tmp_path / "plain").returncode == 0
    assert (tmp_path / "plain").read_bytes() == content
    again = run("strip", SIGNED, "--to", tmp_path / "plain")
    assert again.returncode == 1 and b"File exists" in again.stderr
