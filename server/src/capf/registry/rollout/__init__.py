# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts: which phones get their LSC in which wave, within the window, and when it stops (R16, R18).

Rollouts are recorded, so that they can be resumed after any interruption and never overlap.
"""
