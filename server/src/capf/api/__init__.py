# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administration API: authenticate, parse, ask the registry, render. No rule is decided here."""
