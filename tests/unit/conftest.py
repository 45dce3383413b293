# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the collection importable by its full name, unless ansible-test has done so already."""

from __future__ import annotations

import importlib
import sys

try:
    importlib.import_module("ansible_collections.ucm.capf")
except ImportError:
    from support.collection import linked

    sys.path.append(str(linked()))
