# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use cases: what administrators ask for, and what runs on their behalf."""
