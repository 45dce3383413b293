# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

from ansible.utils.display import Display

class CallbackBase:
    _display: Display
