# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description: Name of the rollout. It consists of letters, digits, spaces, dots, dashes and underscores.
    type: str
    required: true
  runner:
    description:
      - A name that is unique to this run of the playbook, so that two runs never lead the same rollout.
      - A run without a heartbeat for two minutes counts as interrupted, and another run can resume the rollout.
    type: str
    required: true
  rollout_id:
    description:
      - The rollout's id, as M(ucm.capf.rollout) returned it in RV(ucm.capf.rollout#module:rollout) when this run began
        or resumed the rollout.
      - It keeps the run from acting on a different rollout with the same name.
    type: int
"""

    RUN = r"""
options:
  rollout_id:
    required: true
"""
