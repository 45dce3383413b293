# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Backup and restore of a node (R20): one archive with keys, certificates, traces and the database.

In the archive, the database is always an SQLite file, so an archive can also move a site from SQLite to PostgreSQL and
back. An incomplete backup is refused both when it is made and when it is restored, before anything is written.
"""
