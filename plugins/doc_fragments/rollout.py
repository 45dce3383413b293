# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  name:
    description: The name of the rollout, of letters, digits, spaces, dots, dashes and underscores.
    type: str
    required: true
  runner:
    description:
      - A name that this run of the playbook has to itself, so that two runs never lead one rollout.
      - A run that gave no sign of life for two minutes was interrupted, and the next one goes on.
    type: str
    required: true
  rollout_id:
    description:
      - The id of the rollout that the run saw when it began or took it up, as M(ucm.capf.rollout) returned it in
        RV(ucm.capf.rollout#module:rollout).
      - Another rollout of the same name is none of the run's business.
    type: int
"""

    RUN = r"""
options:
  rollout_id:
    required: true
"""
