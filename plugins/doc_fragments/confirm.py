# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option of modules that remove phones, or delete or revoke LSCs."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  confirm:
    description:
      - Number of phones that are removed or lose their LSC.
      - Required, and compared with the real number, for more than 10 phones or more than 5 % of the registered phones,
        whichever is fewer. A single phone needs no confirmation.
      - If it is missing or wrong, nothing is changed, and the error contains the number, also in check mode.
    type: int
"""
