"""Rollouts: plan or take up, start a wave, see how far it is, judge it, release, abort (R16, R18)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from capf.api.login import Actor, RunningNode
from capf.api.rollout_shapes import (
    Aborted,
    Judge,
    Judgement,
    Released,
    Rollout,
    RolloutBegun,
    Rollouts,
    RolloutState,
    Runner,
    StartWave,
    WaitForWave,
    WaveProgress,
    WaveStarted,
)
from capf.api.running import carry_out, until_ended
from capf.model import InvalidRequestError, Problem
from capf.registry import phones, search, strings
from capf.registry.context import Context
from capf.registry.rollout import begin, judge, lease, plan, show, waves
from capf.registry.rollout.settings import Settings

router = APIRouter(tags=["rollouts"], prefix="/rollouts")


@router.get("", response_model=Rollouts)
async def every(_unused: Actor, node: RunningNode) -> dict[str, list[dict[str, Any]]]:
    """List all rollouts, the latest first."""
    return {"rollouts": await node.store.aread(show.every)}


@router.get("/{name}", response_model=RolloutState)
async def state(name: str, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the latest rollout of this name in numbers."""
    return await node.store.aread(lambda c: _state(c, node.context, name))


def _state(connection: Connection, context: Context, name: str) -> dict[str, Any]:
    progress = waves.current(connection, context, show.find(connection, name))
    return {**show.state(connection, name), "progress": progress}


@router.put("/{name}", response_model=RolloutBegun)
async def begin_rollout(name: str, wanted: Rollout, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Register the given phones and begin a rollout of those that need an LSC; or take up the running one."""

    def job(connection: Connection) -> dict[str, Any]:
        return _begin(connection, node.context, name, wanted, actor)

    return await carry_out(node, job, dry_run=wanted.dry_run)


def _begin(connection: Connection, context: Context, name: str, wanted: Rollout, actor: str) -> dict[str, Any]:
    names, changes = _phones(connection, context, wanted, actor)
    strings.refuse_wrong(connection, context, [phone.model_dump() for phone in wanted.phones or ()])
    settings = Settings(**wanted.model_dump(include={item.name for item in fields(Settings)}))
    after = {item.device_name: item.security_mode_after for item in wanted.phones or () if item.security_mode_after}
    early = wanted.before_window == "wait"
    given = {item.device_name: item.authentication_string for item in wanted.phones or () if item.authentication_string}
    request = plan.Request(name, wanted.runner, names, settings, after, given, early, wanted.dry_run)
    made = begin.begin(connection, context, request, actor)
    begun = bool(made.waves) and not made.resumed
    return {
        "changed": begun or bool(changes and changes.changed),
        "begun": begun,
        "resumed": made.resumed,
        "registered": changes.counts if changes else {},
        "plan": plan.show(made, context.now),
        "rollout": _state(connection, context, name) if begun or made.resumed else None,
    }


def _phones(
    connection: Connection, context: Context, wanted: Rollout, actor: str
) -> tuple[list[str], phones.Changes | None]:
    """Return the device names of the rollout: registered by this request, named, or found by criteria."""
    given = [item for item in (wanted.phones, wanted.names, wanted.criteria) if item is not None]
    if len(given) != 1:
        raise InvalidRequestError([Problem("phones", "", "exactly one of phones, names and criteria")])
    if wanted.phones is not None:
        settings = begin.settings_of(connection, [item.model_dump(exclude_none=True) for item in wanted.phones])
        changes = phones.ensure(connection, context, settings, "present", actor)
        return [item.device_name for item in wanted.phones], changes
    if wanted.names is not None:
        return list(wanted.names), None
    criteria = [search.Criterion(item.field, item.pattern, item.value) for item in wanted.criteria or ()]
    found = search.found(connection, context, criteria, search.Page(), strings=False)
    return [phone["device_name"] for phone in found], None


@router.post("/{name}/waves", response_model=WaveStarted)
async def start_wave(name: str, wanted: StartWave, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Start the next wave, or go on with one that was interrupted."""
    given = wanted.authentication_strings

    def job(connection: Connection) -> dict[str, Any]:
        return waves.start(connection, node.context, name, wanted.runner, given, actor)

    return await carry_out(node, job, dry_run=wanted.dry_run)


@router.post("/{name}/waves/{number}/wait", response_model=WaveProgress)
async def wait(name: str, number: int, wanted: WaitForWave, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Answer when the wave has ended, or when the time is up; a sign of life of the run that leads the rollout."""
    await node.store.awrite(lambda c: lease.running(c, node.context, name, wanted.runner))
    return await until_ended(node, lambda c: waves.progress(c, node.context, name, number), wanted.timeout)


@router.post("/{name}/waves/{number}/judge", response_model=Judgement)
async def judge_wave(name: str, number: int, wanted: Judge, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Judge a wave; too many failures stop the rollout."""
    missing = wanted.not_registered

    def job(connection: Connection) -> dict[str, Any]:
        return judge.judge(connection, node.context, name, wanted.runner, number, missing, actor)

    return await carry_out(node, job, dry_run=wanted.dry_run)


@router.post("/{name}/release", response_model=Released)
async def release(name: str, wanted: Runner, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Say that this run does not go on, so that the next one can take the rollout up at once."""

    def job(connection: Connection) -> bool:
        return lease.release(connection, node.context, name, wanted.runner)

    return {"changed": await carry_out(node, job, dry_run=wanted.dry_run)}


@router.post("/{name}/abort", response_model=Aborted)
async def abort(name: str, wanted: Runner, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """End a running rollout and cancel what is pending."""

    def job(connection: Connection) -> tuple[bool, list[str]]:
        return judge.abort(connection, node.context, name, actor)

    changed, cancelled = await carry_out(node, job, dry_run=wanted.dry_run)
    return {"changed": changed, "cancelled": cancelled}
