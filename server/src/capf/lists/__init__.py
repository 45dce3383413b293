# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists of phones as people and their tools make them: the one reader for all of them, and how cells are written."""
