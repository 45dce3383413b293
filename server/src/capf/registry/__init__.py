# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The business rules and nothing else: which phone may have which operation, and how the operation ends."""
