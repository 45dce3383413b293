# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF report as CSV, JSON or one self-contained page (R30)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from capf.administration.requests import read, stream
from capf.api import pages
from capf.api.authentication import Actor, RunningNode
from capf.api.download import Download
from capf.api.pages import Bar, bars, scaled
from capf.api.phones import search_criteria
from capf.api.shapes import Report
from capf.registry import moment, report, search
from capf.registry.rollout import waves
from capf.registry.transaction import Transaction

router = APIRouter(tags=["reports"])
_PIECES: Mapping[str, tuple[str, Callable[[report.Phones], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", report.csv_pieces),
    "json": ("application/json", report.json_pieces),
}
_FEWEST_MONTHS, _MOST_MONTHS, _MONTHS_A_YEAR = 12, 120, 12
_TYPES = ("text/csv", "application/json", "text/html")


@router.post(
    "/reports/capf",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {kind: {"schema": {"type": "string"}} for kind in _TYPES},
            "description": "The CAPF report",
        }
    },
)
async def capf_report(wanted: Report, _unused: Actor, node: RunningNode) -> Response:
    """Return the CAPF report of all phones, or of those that match."""
    criteria, strings = search_criteria(wanted.criteria), wanted.authentication_strings
    search.check(criteria, search.Page().sort)
    wave = None
    if wanted.wave is not None:
        given = wanted.wave
        wave = await read(node, lambda tx: waves.find(tx.connection, given.rollout, given.number, given.rollout_id))

    def phones(tx: Transaction) -> Iterator[dict[str, Any]]:
        return search.found(tx, criteria, search.Page(), strings=strings, wave=wave)

    if wanted.format == "html":
        page = await read(node, lambda tx: _page(tx, report.figures(phones(tx))))
        return Response(page, media_type="text/html; charset=utf-8")
    media_type, pieces = _PIECES[wanted.format]
    return Download(await stream(node, lambda tx: pieces(phones(tx))), media_type)


def _page(tx: Transaction, figures: report.PhoneFigures) -> str:
    this_month = (moment.show(tx.now) or "")[:7]
    return pages.render(
        "report.html",
        figures=figures,
        columns=report.COLUMNS,
        statuses=bars(figures.statuses),
        failures=bars(figures.failures),
        months=_months(figures.months),
        this_month=this_month,
        as_of=report.as_of(tx),
    )


def _months(counts: Counter[str]) -> list[Bar]:
    """Return every month from the first to the last in which an LSC expires, but at least 12 months."""
    if not counts:
        return []
    first, last = (_number(pick(counts)) for pick in (min, max))
    length = min(max(last - first + 1, _FEWEST_MONTHS), _MOST_MONTHS)
    names = [_name(first + index) for index in range(length)]
    return scaled([(name, counts[name]) for name in names])


def _number(month: str) -> int:
    year, _dash, number = month.partition("-")
    return int(year) * _MONTHS_A_YEAR + int(number) - 1


def _name(number: int) -> str:
    return f"{number // _MONTHS_A_YEAR:04d}-{number % _MONTHS_A_YEAR + 1:02d}"
