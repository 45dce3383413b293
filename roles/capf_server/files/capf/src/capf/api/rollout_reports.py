"""The report of a rollout as CSV or one self-contained page (R16, R30)."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from capf.api import pages
from capf.api.download import Download
from capf.api.login import Actor, RunningNode
from capf.registry.rollout import report, show

router = APIRouter(tags=["rollouts"])
_Format = Annotated[Literal["csv", "html"], Query(alias="format")]
_CSV, _HTML = "text/csv; charset=utf-8", "text/html; charset=utf-8"
_ANSWER = {
    "content": {kind: {"schema": {"type": "string"}} for kind in ("text/csv", "text/html")},
    "description": "The rollout's report",
}


@router.get("/rollouts/{name}/report", response_class=StreamingResponse, responses={200: _ANSWER})
async def rollout_report(name: str, _unused: Actor, node: RunningNode, kind: _Format = "html") -> Response:
    """Return the report of the latest rollout of this name; it holds no authentication string."""
    if kind == "html":
        return Response(_page(await node.store.aread(partial(report.figures, name=name))), media_type=_HTML)
    await node.store.aread(partial(show.find, name=name))
    return Download(node.store.stream(partial(report.csv_pieces, name=name)), _CSV)


def _page(figures: report.Figures) -> str:
    slowest = [(phone["device_name"], phone["seconds"]) for phone in figures.state["slowest"]]
    return pages.render(
        "rollout_report.html",
        rollout=figures.state,
        failures=[(*cause, count) for cause, count in figures.failures.most_common()],
        slowest=pages.scaled(slowest),
        visits=figures.visits,
    )
