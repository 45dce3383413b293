# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  certificates:
    description: CA certificates in PEM format; each element can hold several.
    type: list
    elements: str
  files:
    description: PEM files with CA certificates, on the host that runs the module.
    type: list
    elements: path
"""
