# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

def to_text(obj: object, errors: str | None = ...) -> str: ...
