"""Rollouts: plan or take up, start a wave, see how far it is, judge it, release, abort (R16, R18)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from capf.api.authentication import Actor, RunningNode
from capf.api.rollout_shapes import (
    Abort,
    Aborted,
    Judge,
    Judgement,
    OneRollout,
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
from capf.registry.rollout import abort, begin, judge, lease, plan, settings, show, waves
from capf.registry.transaction import Transaction

router = APIRouter(tags=["rollouts"], prefix="/rollouts")


@router.get("", response_model=Rollouts)
async def every(_unused: Actor, node: RunningNode) -> dict[str, list[dict[str, Any]]]:
    """List all rollouts, the latest first."""
    return {"rollouts": await node.store.aread(show.every)}


@router.get("/{name}", response_model=RolloutState)
async def state(name: str, _unused: Actor, node: RunningNode, rollout_id: OneRollout = None) -> dict[str, Any]:
    """Show one rollout in numbers, the latest of this name unless its id is given."""
    return await node.store.aread(lambda c: _state(Transaction(c, node.context), name, rollout_id))


def _state(tx: Transaction, name: str, rollout_id: int | None = None) -> dict[str, Any]:
    progress = waves.current(tx, show.find(tx.connection, name, rollout_id))
    return {**show.state(tx.connection, name, rollout_id), "progress": progress}


@router.put("/{name}", response_model=RolloutBegun)
async def begin_rollout(name: str, wanted: Rollout, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Register the given phones and begin a rollout of those that need an LSC; or take up the running one."""

    def job(connection: Connection) -> dict[str, Any]:
        return _begin(Transaction(connection, node.context, actor), name, wanted)

    return await carry_out(node, job, dry_run=wanted.dry_run)


def _begin(tx: Transaction, name: str, wanted: Rollout) -> dict[str, Any]:
    awaited, changes = wanted.rollout_id, None
    made = None if awaited is None else begin.nothing_left(tx, name, awaited)
    shown = made is not None
    if made is None:
        names, changes = _phones(tx, wanted)
        strings.refuse_wrong(tx, [phone.model_dump() for phone in wanted.phones or ()])
        made = begin.begin(tx, _request(name, wanted, names))
    begun = bool(made.waves) and not made.resumed
    return {
        "changed": begun or bool(changes and changes.changed),
        "begun": begun,
        "resumed": made.resumed,
        "registered": changes.counts if changes else {},
        "plan": plan.show(made, tx.now),
        "rollout": _state(tx, name, awaited) if begun or made.resumed or shown else None,
    }


def _request(name: str, wanted: Rollout, names: list[str]) -> plan.Request:
    given = wanted.phones or ()
    return plan.Request(
        name=name,
        runner=wanted.runner,
        phones=names,
        settings=settings.read(wanted.model_dump(include=set(settings.described()))),
        modes_after={item.device_name: item.security_mode_after for item in given if item.security_mode_after},
        strings={item.device_name: item.authentication_string for item in given if item.authentication_string},
        early=wanted.before_window == "wait",
        dry_run=wanted.dry_run,
        rollout_id=wanted.rollout_id,
    )


def _phones(tx: Transaction, wanted: Rollout) -> tuple[list[str], phones.Changes | None]:
    """Return the device names of the rollout: registered by this request, named, or found by criteria."""
    given = [item for item in (wanted.phones, wanted.names, wanted.criteria) if item is not None]
    if len(given) != 1:
        raise InvalidRequestError([Problem("phones", "", "give exactly one of phones, names and criteria")])
    if wanted.phones is not None:
        registered = begin.settings_of(tx.connection, [item.model_dump(exclude_none=True) for item in wanted.phones])
        changes = phones.ensure(tx, registered, "present")
        return [item.device_name for item in wanted.phones], changes
    if wanted.names is not None:
        return list(wanted.names), None
    criteria = [search.Criterion(item.field, item.pattern, item.value) for item in wanted.criteria or ()]
    found = search.found(tx, criteria, search.Page(), strings=False)
    return [phone["device_name"] for phone in found], None


@router.post("/{name}/waves", response_model=WaveStarted)
async def start_wave(name: str, wanted: StartWave, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Start the next wave, or go on with one that was interrupted."""
    run, given = lease.Run(name, wanted.rollout_id, wanted.runner), wanted.authentication_strings

    def job(connection: Connection) -> dict[str, Any]:
        return waves.start(Transaction(connection, node.context, actor), run, given)

    return await carry_out(node, job, dry_run=wanted.dry_run)


@router.post("/{name}/waves/{number}/wait", response_model=WaveProgress)
async def wait(name: str, number: int, wanted: WaitForWave, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Answer when the wave has ended, or when the time is up; a sign of life of the run that leads the rollout."""
    run = lease.Run(name, wanted.rollout_id, wanted.runner)
    await node.store.awrite(lambda c: lease.running(Transaction(c, node.context), run))
    return await until_ended(node, lambda c: waves.progress(Transaction(c, node.context), run, number), wanted.timeout)


@router.post("/{name}/waves/{number}/judge", response_model=Judgement)
async def judge_wave(name: str, number: int, wanted: Judge, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Judge a wave; too many failures stop the rollout."""
    run, missing = lease.Run(name, wanted.rollout_id, wanted.runner), wanted.not_registered

    def job(connection: Connection) -> dict[str, Any]:
        return judge.judge(Transaction(connection, node.context, actor), run, number, missing)

    return await carry_out(node, job, dry_run=wanted.dry_run)


@router.post("/{name}/release", response_model=Released)
async def release(name: str, wanted: Runner, _unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Say that this run does not go on, so that the next one can take the rollout up at once."""
    run = lease.Run(name, wanted.rollout_id, wanted.runner)

    def job(connection: Connection) -> bool:
        return lease.release(Transaction(connection, node.context), run)

    return {"changed": await carry_out(node, job, dry_run=wanted.dry_run)}


@router.post("/{name}/abort", response_model=Aborted)
async def abort_rollout(name: str, wanted: Abort, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """End a running rollout and cancel its operations; phones that are in a session end it."""

    def job(connection: Connection) -> dict[str, Any]:
        done = abort.abort(Transaction(connection, node.context, actor), name, wanted.rollout_id)
        return {
            "changed": done.changed,
            "cancelled": done.cancelled,
            "in_session": done.in_session,
            "message": abort.words(connection, done, dry_run=wanted.dry_run),
            "rollout": _state(Transaction(connection, node.context), name, done.rollout_id),
        }

    return await carry_out(node, job, dry_run=wanted.dry_run)
