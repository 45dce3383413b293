# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""One phone's session: wire format, dialogue, proofs, connection and listener."""
