# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  passphrase:
    description:
      - What the archive is encrypted with, at least 12 characters. It is stored nowhere, and without it the archive
        cannot be read by anybody, so keep it where the server is not.
      - Required unless O(plain=true).
    type: str
  plain:
    description:
      - Choose an archive that is not encrypted. Whoever reads it has the server's keys, and whoever can write to it can
        forge it; only damage is noticed. The module warns of it.
    type: bool
    default: false
"""
