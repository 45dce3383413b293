# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `scripts/generate` makes; `made` of each module returns texts by the path that they belong to."""
