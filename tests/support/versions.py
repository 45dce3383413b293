# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of the collection with another version of the server, and its wheelhouse, made without an index."""

from __future__ import annotations

import io
import runpy
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from support.plays import ROOT

_SCRIPT = ROOT / "roles" / "capf_server" / "files" / "wheelhouse.py"


def make(place: Path, cache: Path, like: str, appended: Mapping[str, str]) -> tuple[Path, str]:
    """Copy the collection to a place, append text to files of its server, and put its wheelhouse into a cache.

    ``like`` is the name of the wheelhouse of the server as it is. Return the path of the collections, and the name of
    the new wheelhouse.
    """
    subprocess.run([ROOT / "scripts" / "copy-collection", place], check=True, capture_output=True)
    source = place / "ansible_collections" / "ucm" / "capf" / "server"
    shutil.rmtree(source.with_name("tests"))  # it contains the secrets of the tests
    for name, text in appended.items():
        with (source / "src" / name).open("a") as changed:
            changed.write(text)
    wheelhouse = runpy.run_path(str(_SCRIPT))
    name = f"{like.rpartition('-')[0]}-{wheelhouse['version_of']([source])}"
    archive = cache / f"{name}.tar"
    with tarfile.open(cache / f"{like}.tar") as given, tarfile.open(archive, "w") as made:
        for member in given.getmembers():
            file = given.extractfile(member)
            data = b"" if file is None else file.read()
            if "/capf-" in member.name and member.name.endswith(".whl"):
                data = _changed(data, appended)
            renamed = tarfile.TarInfo(member.name.replace(like, name))
            renamed.size = len(data)
            made.addfile(renamed, io.BytesIO(data))
    wheelhouse["sum_of"](archive).write_text(wheelhouse["sha256"](archive))
    return place, name


def _changed(wheel: bytes, appended: Mapping[str, str]) -> bytes:
    """Return a wheel with text appended to its files, and new files."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel)) as given, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        held = {name: given.read(name) for name in given.namelist()}
        for name, text in appended.items():
            held[name] = held.get(name, b"") + text.encode()
        for name, data in held.items():
            target.writestr(name, data)
    return made.getvalue()
