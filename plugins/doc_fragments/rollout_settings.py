# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Made by scripts/generate from the server's registry/rollout/settings.py: change that.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  wave_size:
    description:
      - Maximum number of phones in a wave, as a number such as V(50), a percentage of the phones such as V(5%),
        or V(auto), which is the smallest size with which all waves fit into the window.
      - A wave never contains more than half of a site's phones.
    type: str
    default: "50"
  wave_seconds:
    description:
      - Maximum duration of a wave in seconds. Phones that are not done by then count as failed.
      - V(0) means five minutes more than the service parameter C(Maximum Allowable Time For Key Generation).
    type: int
    default: 0
  string_seconds:
    description: Maximum duration in seconds of a wave in which people have to enter authentication strings;
      V(0) means the same as without strings.
    type: int
    default: 0
  pilot_size:
    description: Number or percentage of phones in the pilot wave, which goes first; V(0) means no pilot.
    type: str
    default: "0"
  failure_limit:
    description: Number or percentage of phones of a wave that may fail without stopping the rollout.
    type: str
    default: 10%
  pilot_failure_limit:
    description: Number or percentage of phones of the pilot wave that may fail without stopping the rollout.
    type: str
    default: 5%
  open_sessions:
    description: Maximum number of phones in flight at the same time, including those of earlier waves.
    type: int
    default: 2500
  spread_by:
    description: The field that identifies a phone's site, used to keep a wave from taking all phones of one
      site.
    type: str
    choices:
      - device_pool
      - device_type
      - security_profile
      - none
    default: device_pool
  retries:
    description: Number of retries for a phone that may succeed on a retry. Retries have their own waves.
    type: int
    default: 1
  renew_before:
    description: Renew an LSC that expires within this number of days.
    type: int
    default: 0
  force:
    description: Also issue a new LSC to phones whose LSC is up to date.
    type: bool
    default: false
  window_start:
    description: Start of the maintenance window, such as V(2030-01-31T22:00), in the first node's time zone.
      Empty means now.
    type: str
    default: ""
  window_end:
    description:
      - End of the maintenance window. It is also Operation Completes By of every phone. A wave is only started
        if it can end before the window closes.
      - A date without a time means the end of that day. Empty means no end.
    type: str
    default: ""
"""
