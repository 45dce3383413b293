# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A server whose phones have an additional field: only its column and its row in the table of fields.

Usage: python -m support.further_field DIRECTORY; prints the field's values as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Text, create_engine, text

from capf.registry import phone_fields
from capf.registry.phone_fields import Field
from capf.store import schema

schema.phones.append_column(Column("building", Text, nullable=False, server_default=""))
phone_fields.FIELDS.append(
    Field("building", "Building", help=("The building.",), choices=("A", "B"), default="A", setting=True,
          searchable=True, reported=True, site=True)
)  # fmt: skip
sys.path.append(str(Path(__file__).parents[2] / "scripts"))

from capf.api.shapes import PhonesChange  # noqa: E402
from capf.certificates.authority import make_capf_certificate  # noqa: E402
from capf.model import InvalidRequestError  # noqa: E402
from capf.registry import parameters, phones, report, search, service  # noqa: E402
from capf.registry.rollout import show, tally  # noqa: E402
from capf.registry.transaction import Transaction  # noqa: E402
from generators import phone_fields as generator  # noqa: E402
from support import rollouts  # noqa: E402
from support.migrated import put_database  # noqa: E402
from support.record import NOW, Record, recording  # noqa: E402

NAMES = ("SEP00000000000A", "SEP00000000000B")


def register(record: Record, building: str) -> dict[str, Any] | None:
    """Register or change the second phone with this building, as the API does; return the changes."""
    body = PhonesChange.model_validate({"phones": [{"device_name": NAMES[1], "building": building}]})
    given = [phone.model_dump(exclude_none=True) for phone in body.phones]
    changes = record.run(lambda c: phones.ensure(Transaction(c, record.context, "test"), given, "present"))
    return next(({"before": item.before, "after": item.after} for item in changes.results), None)


def seen(record: Record) -> dict[str, object]:
    """Return the results of search and report."""
    criteria = [search.Criterion("building", "begins with", "B")]
    page = search.Page(sort="building", descending=True)

    def find(*given: search.Criterion) -> list[dict[str, Any]]:
        return record.store.read(
            lambda c: list(search.found(Transaction(c, record.context), given, page, strings=False))
        )

    return {
        "found": [phone["device_name"] for phone in find(*criteria)],
        "sorted": [phone["building"] for phone in find()],
        "report": "".join(report.csv_pieces(find())),
    }


def sites(record: Record) -> dict[str, str]:
    """Begin a rollout by the field as site; returns the site of each phone of it."""
    record.run(lambda c: service.activate(Transaction(c, record.context, "test"), True))
    record.context.running = record.run(parameters.stored)
    rollouts.begin(record, *NAMES, spread_by="building", wave_size="2")
    rollout = record.store.read(lambda c: show.find(c, rollouts.NIGHT))
    return {line["device_name"]: line["site"] for line in record.store.read(lambda c: list(tally.lines(c, rollout)))}


def main(directory: Path) -> None:
    """Print the field's values."""
    url = put_database(directory)
    with create_engine(url).begin() as connection:
        connection.execute(text("ALTER TABLE phones ADD COLUMN building TEXT NOT NULL DEFAULT ''"))
    with recording(url, directory, make_capf_certificate(os.urandom, NOW, "ucm.capf", "CAPF")) as record:
        record.add(NAMES[0])
        register(record, "B")
        refused = ""
        try:
            register(record, "C")
        except InvalidRequestError as error:
            refused = str(error)
        found = seen(record) | {"sites": sites(record)}
        changed = [register(record, "A") for _time in range(2)]
        print(json.dumps({**found, "refused": refused, "changed": changed, "generated": generator.made()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
