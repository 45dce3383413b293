# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  passphrase:
    description:
      - Passphrase that encrypts the archive, at least 12 characters. It is not stored anywhere, and nobody can read
        the archive without it, so keep it in a different place than the server.
      - Required unless O(plain=true).
    type: str
  plain:
    description:
      - Do not encrypt the archive. Anyone who can read it has the server's keys, and anyone who can write to it can
        forge it; only accidental damage is detected. The module warns about this.
    type: bool
    default: false
"""
