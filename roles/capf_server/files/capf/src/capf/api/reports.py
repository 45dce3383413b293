"""The CAPF report as CSV, JSON or one self-contained page (R30)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import Connection

from capf.api.login import Actor, RunningNode
from capf.api.phones import search_criteria
from capf.api.shapes import Report
from capf.registry import moment, report, search
from capf.store import journal

router = APIRouter(tags=["reports"])
_PAGES = Environment(
    loader=PackageLoader("capf", "api"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
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
    criteria = search_criteria(wanted.criteria)
    search.check(criteria, search.Page().sort)

    def phones(connection: Connection) -> Iterator[dict[str, Any]]:
        return search.found(connection, node.context, criteria, search.Page(), strings=wanted.authentication_strings)

    if wanted.format == "html":
        page = await node.store.aread(lambda c: _page(c, report.figures(phones(c)), node.context.now))
        return Response(page, media_type="text/html; charset=utf-8")
    media_type, pieces = _PIECES[wanted.format]
    return StreamingResponse(node.store.stream(lambda c: pieces(phones(c))), media_type=media_type)


def _page(connection: Connection, figures: report.Figures, now: int) -> str:
    this_month = (moment.show(now) or "")[:7]
    return _PAGES.get_template("report.html").render(
        figures=figures,
        columns=report.COLUMNS,
        statuses=_bars(figures.statuses),
        failures=_bars(figures.failures),
        months=_months(figures.months),
        this_month=this_month,
        as_of=moment.show(journal.last_at(connection)),
    )


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar of a chart; its length in percent of the longest, its share in percent of all."""

    label: str
    count: int
    length: float
    share: float


def _bars(counts: Counter[str]) -> list[_Bar]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return _scaled(ordered)


def _scaled(items: list[tuple[str, int]]) -> list[_Bar]:
    most = max((count for _label, count in items), default=0) or 1
    total = sum(count for _label, count in items) or 1
    return [_Bar(label, count, round(100 * count / most, 2), round(100 * count / total, 1)) for label, count in items]


def _months(counts: Counter[str]) -> list[_Bar]:
    """Return every month from the first in which an LSC expires to the last, at least a year of them."""
    if not counts:
        return []
    first, last = (_number(pick(counts)) for pick in (min, max))
    length = min(max(last - first + 1, _FEWEST_MONTHS), _MOST_MONTHS)
    names = [_name(first + index) for index in range(length)]
    return _scaled([(name, counts[name]) for name in names])


def _number(month: str) -> int:
    year, _dash, number = month.partition("-")
    return int(year) * _MONTHS_A_YEAR + int(number) - 1


def _name(number: int) -> str:
    return f"{number // _MONTHS_A_YEAR:04d}-{number % _MONTHS_A_YEAR + 1:02d}"
