# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""``python -m capf_lab`` is the command ``capf-lab``."""

import sys

from capf_lab.command_line import main

sys.exit(main())
