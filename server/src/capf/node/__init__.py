# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a node: configuration, state directory, ports, logs and trace files."""
