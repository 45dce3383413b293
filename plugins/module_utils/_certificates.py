# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists of certificates given as PEM text or as files."""

from __future__ import annotations

import typing as t

from ._client import CapfError, Client
from ._files import read_pem
from ._paths import absolute


def certificate_options() -> dict[str, t.Any]:
    """Return the options of the fragment C(certificates)."""
    return {
        "certificates": {"type": "list", "elements": "str"},
        "files": {"type": "list", "elements": "path"},
    }


def send_certificates(
    client: Client, path: str, params: dict[str, t.Any], wanted: dict[str, t.Any]
) -> dict[str, t.Any]:
    """Send the certificates of both options with a request; CapfError names the bad text or file."""
    texts, files = params["certificates"] or [], params["files"] or []
    try:
        given = texts + [read_pem("files", name) for name in files]
        return client.send("PUT", path, dict(wanted, certificates=given or None))
    except CapfError as error:
        problems = [dict(problem, field=_place(problem["field"], len(texts), files)) for problem in error.problems]
        raise error.located(problems) from None


def _place(field: str, texts: int, files: list[str]) -> str:
    of, _bracket, rest = field.partition("[")
    index = rest.rstrip("]")
    if of != "certificates" or not index.isdecimal() or int(index) < texts:
        return field
    return f"files {absolute(files[int(index) - texts])}"
