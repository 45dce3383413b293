# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The policy of a rolling rollout: what follows from the record, the observations and the time. Pure functions."""
