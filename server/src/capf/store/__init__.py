# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""All SQL: schema, migrations, the engine with its one writer, and the statements of each table."""
