# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  phones:
    description: Device names of the phones, in any number; they travel in one request.
    type: list
    elements: str
  csv_file:
    description:
      - CSV file with one phone a row and the device names in the column C(device_name), on the host that runs
        the module.
      - Exactly one of O(phones) and O(csv_file) is needed.
    type: path
"""
