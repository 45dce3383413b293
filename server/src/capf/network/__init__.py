# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The doors of all ports: which connections are accepted, which wait, and which are closed to make room."""
