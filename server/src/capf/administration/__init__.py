# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use cases: the requests of administrators, and the work that runs on their behalf."""
