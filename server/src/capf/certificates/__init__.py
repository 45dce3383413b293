# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Creates, checks, reads and stores certificates, keys and secrets."""
