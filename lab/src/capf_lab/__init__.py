# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab: simulated phones that rehearse a rollout before the maintenance window."""

__version__ = "0.1.0"
