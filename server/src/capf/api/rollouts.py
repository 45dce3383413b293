# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rollouts: plan or resume, start a wave, show its progress, judge it, release, abort (R16, R18)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from capf import device_names
from capf.administration import requests, rollouts
from capf.api.authentication import Actor, ForNodes, RunningNode
from capf.api.phones import search_criteria
from capf.api.rollout_shapes import (
    Abort,
    AbortedRollout,
    ChangedRollout,
    Judge,
    Judgement,
    Live,
    OneRollout,
    Pause,
    Released,
    Resume,
    Rollout,
    RolloutBegun,
    Rollouts,
    RolloutState,
    Runner,
    StartWave,
    WaitForWave,
    WatchRollout,
    WaveProgress,
    WaveStarted,
)
from capf.registry.rollout import judge, lease, plan, settings, show, waves

router = APIRouter(tags=["rollouts"], prefix="/rollouts")


@router.get("", response_model=Rollouts)
async def every(_unused: Actor, node: RunningNode) -> dict[str, list[dict[str, Any]]]:
    """List all rollouts, latest first."""
    return {"rollouts": await requests.read(node, lambda tx: show.every(tx.connection))}


@router.get("/{name}", response_model=RolloutState)
async def state(name: str, _unused: Actor, node: RunningNode, rollout_id: OneRollout = None) -> dict[str, Any]:
    """Show the numbers of one rollout, by default the latest of this name."""
    return await requests.read(node, lambda tx: rollouts.state(tx, name, rollout_id))


@router.put("/{name}", response_model=RolloutBegun)
async def begin_rollout(name: str, wanted: Rollout, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Register the given phones and begin a rollout for those that need an LSC, or resume the running one."""
    listed = None if wanted.phones is None else [item.model_dump(exclude_none=True) for item in wanted.phones]
    criteria = None if wanted.criteria is None else search_criteria(wanted.criteria)
    selection = rollouts.Selection(listed, wanted.names, criteria)
    request = _request(name, wanted)
    notes = device_names.notes(wanted.names or [item.device_name for item in wanted.phones or ()])
    return await requests.change(
        node, lambda tx: rollouts.begin_rollout(tx, selection, request, notes), actor, dry_run=wanted.dry_run
    )


def _request(name: str, wanted: Rollout) -> plan.RolloutRequest:
    given = wanted.phones or ()
    return plan.RolloutRequest(
        name=name,
        runner=wanted.runner,
        phones=[],
        settings=settings.read(wanted.model_dump(include=set(settings.described()))),
        modes_after={item.device_name: item.security_mode_after for item in given if item.security_mode_after},
        strings={item.device_name: item.authentication_string for item in given if item.authentication_string},
        early=wanted.before_window == "wait",
        dry_run=wanted.dry_run,
        rollout_id=wanted.rollout_id,
    )


@router.post("/{name}/waves", response_model=WaveStarted)
async def start_wave(name: str, wanted: StartWave, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Start the next wave, or resume an interrupted one."""
    run, given = lease.Run(name, wanted.rollout_id, wanted.runner), wanted.authentication_strings

    return await requests.change(node, lambda tx: waves.start(tx, run, given), actor, dry_run=wanted.dry_run)


@router.post("/{name}/waves/{number}/wait", response_model=WaveProgress)
async def wait(name: str, number: int, wanted: WaitForWave, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Wait until the wave has ended or the time is up; this is also the heartbeat of the run that leads the rollout."""
    run = lease.Run(name, wanted.rollout_id, wanted.runner)
    await requests.change(node, lambda tx: lease.running(tx, run), actor, dry_run=False)
    return await requests.until_ended(node, lambda tx: waves.progress(tx, run, number), wanted.timeout)


@router.post("/{name}/waves/{number}/judge", response_model=Judgement)
async def judge_wave(name: str, number: int, wanted: Judge, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Judge a wave; too many failures stop the rollout."""
    run, missing = lease.Run(name, wanted.rollout_id, wanted.runner), wanted.not_registered or ()

    judged = await requests.change(
        node, lambda tx: judge.judge(tx, run, number, missing), actor, dry_run=wanted.dry_run
    )
    return {**judged, "warnings": device_names.notes(missing)}


@router.post("/{name}/watch", response_model=Live)
async def watch(
    name: str, wanted: WatchRollout, credentials: ForNodes, actor: Actor, node: RunningNode
) -> dict[str, Any]:
    """Wait until a rolling rollout changes or the time is up; this is also the heartbeat of the run that leads it."""
    run = lease.Run(name, wanted.rollout_id, wanted.runner)
    node.rollouts.watched(wanted.rollout_id, credentials)
    return await rollouts.watch(node, run, wanted.since, wanted.timeout, actor)


@router.post("/{name}/pause", response_model=ChangedRollout)
async def pause(name: str, wanted: Pause, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Admit no further phone of a rolling rollout; phones in flight end."""
    return await requests.change(
        node,
        lambda tx: rollouts.pause_rollout(tx, name, wanted.rollout_id, wanted.reason),
        actor,
        dry_run=wanted.dry_run,
    )


@router.post("/{name}/resume", response_model=ChangedRollout)
async def resume(name: str, wanted: Resume, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Admit phones of a paused rollout again; failures are counted from zero."""
    return await requests.change(
        node, lambda tx: rollouts.resume_rollout(tx, name, wanted.rollout_id), actor, dry_run=wanted.dry_run
    )


@router.post("/{name}/release", response_model=Released)
async def release(name: str, wanted: Runner, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Release the rollout, so that another run can resume it immediately."""
    run = lease.Run(name, wanted.rollout_id, wanted.runner)
    return {"changed": await requests.change(node, lambda tx: lease.release(tx, run), actor, dry_run=wanted.dry_run)}


@router.post("/{name}/abort", response_model=AbortedRollout)
async def abort_rollout(name: str, wanted: Abort, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """End a running rollout and cancel its operations, except those of phones that are in a session."""
    return await requests.change(
        node,
        lambda tx: rollouts.abort_rollout(tx, name, wanted.rollout_id, dry_run=wanted.dry_run),
        actor,
        dry_run=wanted.dry_run,
    )
