# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Trace settings, which take effect immediately, and trace files (R21, R27)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, StrictBool, StrictInt

from capf.administration import tracing
from capf.api.authentication import Actor, RunningNode
from capf.api.errors import NOT_FOUND, Refusal
from capf.api.shapes import ChangeRequest, ShownParameter

router = APIRouter(tags=["trace"])
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The file"}
}


class Trace(BaseModel):
    """The trace settings with help, default and range; ``problem`` says why trace files cannot be written now."""

    settings: list[ShownParameter]
    problem: str


class TraceChange(ChangeRequest):
    """Trace settings to change; omitted ones keep their values."""

    trace_on: StrictBool | None = None
    debug_trace_level: str | None = None
    maximum_number_of_files: StrictInt | None = None
    maximum_file_size: StrictInt | None = None


class TraceChanged(BaseModel):
    """The settings that change, before and after."""

    changed: bool
    before: dict[str, bool | int | str]
    after: dict[str, bool | int | str]


class ShownTraceFile(BaseModel):
    """A trace file of the server, or of Troubleshoot."""

    name: str
    kind: str
    size: int
    modified: str


class TraceFileList(BaseModel):
    """All trace files."""

    files: list[ShownTraceFile]


@router.get("/trace", response_model=Trace)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the trace settings."""
    return {"settings": await tracing.show(node), "problem": node.trace.problem}


@router.put("/trace", response_model=TraceChanged)
async def change(wanted: TraceChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Change trace settings; they take effect immediately."""
    given = wanted.model_dump(exclude_none=True, exclude={"dry_run"})
    return asdict(await tracing.set_trace(node, given, actor, dry_run=wanted.dry_run))


@router.get("/trace/files", response_model=TraceFileList)
async def list_files(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """List the trace files."""
    return {"files": [asdict(file) for file in await tracing.files(node)]}


@router.get("/trace/files/{name}", response_class=PlainTextResponse, responses=_TEXT)
async def show_file(
    name: str, _unused: Actor, node: RunningNode, last: Annotated[int | None, Query(ge=1, le=100_000)] = None
) -> PlainTextResponse:
    """Return a trace file, or its last lines."""
    content = await tracing.content(node, name)
    if content is None:
        raise Refusal(NOT_FOUND, f"name: trace file {name!r} does not exist; choose one from the list of trace files")
    if last is not None:
        content = b"".join(content.splitlines(keepends=True)[-last:])
    return PlainTextResponse(content)
