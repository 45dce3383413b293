# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  phones:
    description: Device names of the phones. All of them are sent in one request, however many there are.
    type: list
    elements: str
  csv_file:
    description:
      - CSV file on the host that runs the module, with one phone per row and the device names in the column
        C(device_name) or C(Device Name), such as a report of this collection.
      - Exactly one of O(phones) and O(csv_file) is required.
    type: path
"""
