"""Writes what a database of a released schema looked like, once, when the schema is released; never again after it.

Run: .venv/bin/python tests/data/make_dump.py REVISION
"""

from __future__ import annotations

import base64
import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, create_engine

sys.path.insert(0, str(Path(__file__).parents[1]))

import capf.store
from capf.certificates.passwords import hash_password
from capf.store import audit
from support.postgresql import PostgreSQL
from support.requesting import ADMINISTRATOR, PASSWORD

HERE = Path(__file__).parent
_DER = base64.b64decode("".join((HERE.parent / "vectors/certificates/mic.crt").read_text().splitlines()[1:-1]))
_NAMES = ["SEP001122334455", "SEP001122334466"]
_KEYS = {"key_order": "RSA Only", "key_size": 2048, "ec_key_size": 384}
_START = 1795000000


def rows(chained: bool) -> dict[str, list[dict[str, Any]]]:
    """Return the rows: a phone with its LSC, and one whose operation waits."""
    mode = "By Null String"
    phones = [
        {"device_name": name, "device_security_mode": "Authenticated", "mic": True, "authentication_mode": mode,
         "description": f"Phone {index}", "operation_id": index + 1, **_KEYS}
        for index, name in enumerate(_NAMES)
    ]  # fmt: skip
    common = {"operation": "Install/Upgrade", "authentication_mode": mode, "completes_by": 4000000000, **_KEYS}
    operations = [
        {"device_name": _NAMES[0], "state": "done", "status": "Upgrade Success", "created_at": _START,
         "ended_at": _START + 60, **common},
        {"device_name": _NAMES[1], "state": "pending", "status": "Operation Pending", "created_at": _START,
         "ended_at": None, **common},
    ]  # fmt: skip
    certificates = [
        {"serial_number": "00" * 15 + "2a", "device_name": _NAMES[0], "operation_id": 1, "der": _DER,
         "issuer_key_id": "ab" * 20, "issuer": "CN=CAPF-0a1b2c3d", "issuer_not_after": 4000000000,
         "not_before": _START, "not_after": 3900000000, "ec": False, "bits": 2048, "public_key_sha256": "cd" * 32,
         "state": "active", "changed_at": _START + 60}
    ]  # fmt: skip
    settings = {"administrator": ADMINISTRATOR, "password": hash_password(PASSWORD), "parameter:Key Size": "3072"}
    return {
        "phones": phones,
        "operations": operations,
        "certificates": certificates,
        "settings": [{"name": name, "value": value} for name, value in settings.items()],
        "audit": _audit(chained),
    }


def _audit(chained: bool) -> list[dict[str, Any]]:
    """Return audit rows; where they are chained, the earlier half is from before the chain."""
    acts = [("admin", "schedule operation", 0), ("192.0.2.1", "claim operation", 0), ("capf", "issue certificate", 0),
            ("admin", "schedule operation", 1)]  # fmt: skip
    digest, found = "", []
    for index, (actor, action, phone) in enumerate(acts):
        row = {"at": _START + index, "actor": actor, "action": action, "device_name": _NAMES[phone],
               "detail": ""}  # fmt: skip
        if chained:
            digest = row["digest"] = audit._digest(digest, row) if index >= len(acts) // 2 else ""
        found.append(row)
    return found


def fill(connection: Connection, revision: str) -> None:
    """Make the schema as it was, and insert the rows."""
    config = Config()
    config.set_main_option("script_location", str(Path(capf.store.__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    metadata = MetaData()
    metadata.reflect(connection)
    chained = "audit_head" in metadata.tables
    wanted = rows(chained)
    for table in metadata.sorted_tables:
        if table.name in wanted:
            for row in wanted[table.name]:
                connection.execute(table.insert(), row)
    if chained:
        head = metadata.tables["audit_head"]
        connection.execute(head.update().values(digest=wanted["audit"][-1]["digest"]))
    connection.commit()


def main(revision: str) -> None:
    """Write the dumps of both databases."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "capf.db"
        with create_engine(f"sqlite:///{path}").connect() as connection:
            fill(connection, revision)
        text = "\n".join(sqlite3.connect(path).iterdump()) + "\n"
        (HERE / f"schema_{revision}.sqlite.sql").write_text(text)
    cluster = PostgreSQL()
    url = cluster.new_database()
    with create_engine(url).connect() as connection:
        fill(connection, revision)
    argv = ["pg_dump", "--inserts", "--no-owner", url.replace("+psycopg", "")]
    dump = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    (HERE / f"schema_{revision}.postgresql.sql").write_text(re.sub(r"^(--.*|\\.*)?\n", "", dump, flags=re.MULTILINE))
    cluster.remove()


if __name__ == "__main__":
    main(sys.argv[1])
