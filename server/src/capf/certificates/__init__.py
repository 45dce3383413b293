# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates, keys and secrets: made, checked, read and kept."""
