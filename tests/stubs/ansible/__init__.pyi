# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types of ansible; only what this collection uses, because Ansible ships no types."""
