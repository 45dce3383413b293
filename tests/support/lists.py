# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists as people's tools write them, in an archive, because linters of text refuse their encodings and line ends."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

_UNPACKED = TemporaryDirectory()
with ZipFile(Path(__file__).parents[1] / "data" / "lists.zip") as archive:
    archive.extractall(_UNPACKED.name)
LISTS = Path(_UNPACKED.name)
"""The directory with the files."""
