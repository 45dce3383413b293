# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backup of a node, and bringing it back (R20): one archive with keys, certificates, traces and the database.

The database is an SQLite file in the archive whatever it is in the site, so that an archive can also move a site from
SQLite to PostgreSQL and back. A backup is whole or it is refused: by the run that makes it, and by the one that
restores it, before anything is written.
"""
