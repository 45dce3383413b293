# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Certificate Authority Proxy Function (CAPF) server for IP phones."""

__version__ = "0.1.0"
