# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a rollout as CSV or one self-contained page (R16, R30)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from capf.administration.requests import read, stream
from capf.api import pages
from capf.api.authentication import Actor, RunningNode
from capf.api.download import Download
from capf.api.rollout_shapes import OneRollout
from capf.registry.parts import Part
from capf.registry.rollout import rollout_report as report
from capf.registry.rollout import show

router = APIRouter(tags=["rollouts"])
_Format = Annotated[Literal["csv", "html"], Query(alias="format")]
_CSV, _HTML = "text/csv; charset=utf-8", "text/html; charset=utf-8"
_ANSWER = {
    "content": {kind: {"schema": {"type": "string"}} for kind in ("text/csv", "text/html")},
    "description": "The rollout's report",
}


@router.get("/rollouts/{name}/report", response_class=StreamingResponse, responses={200: _ANSWER})
async def rollout_report(
    name: str, _unused: Actor, node: RunningNode, kind: _Format = "html", rollout_id: OneRollout = None
) -> Response:
    """Return the report of one rollout, by default the latest of this name; it contains no authentication strings."""
    if kind == "html":
        figures = await read(node, lambda tx: report.figures(tx.connection, name, rollout_id))
        return Response(page(figures), media_type=_HTML)
    await read(node, lambda tx: show.find(tx.connection, name, rollout_id))
    return Download(await stream(node, lambda tx: report.csv_pieces(tx.connection, name, rollout_id)), _CSV)


def page(figures: report.RolloutFigures) -> str:
    """Return the page of a rollout's figures."""
    slowest = [(phone["device_name"], phone["seconds"]) for phone in figures.state["slowest"]]
    return pages.render(
        "rollout_report.html",
        parts=list(Part),
        rollout=figures.state,
        failures=[(*cause, count) for cause, count in figures.failures.most_common()],
        slowest=pages.scaled(slowest),
        visits=figures.visits,
    )
