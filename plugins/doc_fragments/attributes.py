# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and report what would change without changing it.
  diff_mode:
    description: Returns what changes (or would change) when in diff mode.
  idempotent:
    description: Changes nothing when run again with the same arguments.
"""

    ACTION_GROUP = r"""
attributes:
  action_group:
    description: Options set by C(module_defaults) for this action group apply.
    support: full
    membership:
      - ucm.capf.capf
"""

    CHANGES = r"""
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    READS = r"""
attributes:
  check_mode:
    support: full
    details: Nothing is ever changed.
  diff_mode:
    support: N/A
  idempotent:
    support: full
"""
