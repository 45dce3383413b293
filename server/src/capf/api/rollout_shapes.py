# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests and answers about rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field, StrictBool, create_model

from capf.api.shapes import (
    MAXIMUM_PHONES,
    ChangeRequest,
    Criteria,
    DeviceName,
    Phone,
    Phones,
    RolloutId,
    RunnerName,
    Strict,
)
from capf.registry.rollout.settings import RolloutSetting, SettingKind, described

OneRollout = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
"""The id of a rollout in a query; the default is the latest rollout of the name."""


def _type_of(setting: RolloutSetting) -> Any:
    """Return the JSON type of a setting; the registry parses amounts and times from texts."""
    if setting.kind is SettingKind.NUMBER:
        return Annotated[int, Field(title=setting.title, ge=setting.minimum, le=setting.maximum)]
    return Annotated[StrictBool if setting.kind is SettingKind.FLAG else str, Field(title=setting.title)]


class RolloutPhone(Phone):
    """A phone to register, and the Device Security Mode that it gets when it has its LSC.

    Its authentication string has to be given again when its wave is started.
    """

    security_mode_after: str | None = None


if TYPE_CHECKING:
    PacedChange = ChangeRequest
else:
    PacedChange = create_model(
        "PacedChange",
        __base__=ChangeRequest,
        __doc__="A change with the settings of a rollout.",
        **{name: (_type_of(setting), setting.default) for name, setting in described().items()},
    )


class Rollout(PacedChange):
    """Phones, and the settings of their rollout; ``runner`` is the unique name of this run.

    ``rollout_id``: the running rollout that this run has waited for; only that one is resumed.
    """

    runner: RunnerName
    rollout_id: RolloutId | None = None
    phones: Annotated[list[RolloutPhone], Field(min_length=1, max_length=MAXIMUM_PHONES)] | None = None
    names: Phones | None = None
    criteria: Criteria | None = None
    before_window: Literal["wait", "refuse"] = "wait"


class ShownWave(BaseModel):
    """A wave of a plan."""

    number: int
    kind: str
    phones: list[str]


class RolloutPlan(BaseModel):
    """The waves, the skipped phones by reason, and the latest end; ``lines`` are the plan for people."""

    waves: list[ShownWave]
    skipped: dict[str, list[str]]
    warnings: list[str]
    starts_at: str
    starts_in_seconds: int
    latest_end: str
    window_end: str | None
    lines: list[str]


class RolloutHead(BaseModel):
    """A summary of one rollout."""

    id: int
    name: str
    state: str
    problem: str
    created_at: str
    ended_at: str | None
    ended_by: str
    starts_at: str | None
    window_end: str | None
    strategy: str
    paused_at: str | None
    pause: str


class Rollouts(BaseModel):
    """All rollouts."""

    rollouts: list[RolloutHead]


class ShownVerdict(BaseModel):
    """The judgement of a wave; ``allowed`` is None for a retry, which never stops the rollout."""

    judged: int
    failing: int
    allowed: int | None
    stopped: bool


class Counts(BaseModel):
    """The number of phones, in total and by part of the rollout; the parts add up to the total."""

    phones: int
    waiting: int
    in_flight: int
    done: int
    failed: int
    unreached: int
    skipped: int


class Wave(Counts):
    """One wave, its judgement, and its phones by part: now, or when it was judged."""

    number: int
    kind: str
    started_at: str | None
    judged_at: str | None
    seconds: int | None
    words: str
    verdict: ShownVerdict | None
    judgement: str


class SlowPhone(BaseModel):
    """One of the slowest phones."""

    device_name: str
    seconds: int


class RolloutLine(BaseModel):
    """One phone of a rollout."""

    device_name: str
    description: str
    device_pool: str
    site: str
    wave: int | None
    tries: int
    part: str
    status: str
    problem: str
    refusals: int
    last_refusal: str
    refused_at: str | None
    refused_from: str
    seconds: int | None
    advice: str
    to_visit: str


class WaveNow(BaseModel):
    """The numbers of the running wave."""

    number: int
    counts: Counts
    phones_a_minute: float
    seconds_left: int


class Summary(Counts):
    """The result of a rollout, or of a run that had nothing to do, with the phones that were left out.

    ``succeeded``: every phone is done or skipped, except as many as the limits allow. ``directory``: a name for the
    directory of its reports. ``lines``: the summary for people.
    """

    name: str
    state: str
    succeeded: bool
    problem: str
    ended_by: str
    installed: int
    scheduled: int
    skipped_because: dict[str, int]
    by_status: dict[str, int]
    next_step: str
    directory: str
    lines: list[str]


class RolloutState(RolloutHead):
    """The numbers of one rollout; ``words`` are its ``counts`` as a sentence, ``progress`` is that of the running wave.

    ``refusals``: how often a claim of one of its operations was refused.
    """

    progress: WaveNow | None

    settings: dict[str, Any]
    skipped: dict[str, int]
    counts: Counts
    words: str
    scheduled: int
    refusals: int
    by_status: dict[str, int]
    waves: list[Wave]
    slowest: list[SlowPhone]
    to_visit: list[RolloutLine]
    summary: Summary


class RolloutBegun(BaseModel):
    """The new or resumed rollout with its remaining plan; ``rollout`` is None if no phone needs an LSC."""

    changed: bool
    begun: bool
    resumed: bool
    registered: dict[str, int]
    plan: RolloutPlan
    rollout: RolloutState | None
    summary: Summary


class Runner(ChangeRequest):
    """The run that sends the request, and its rollout."""

    runner: RunnerName
    rollout_id: RolloutId


class StartWave(Runner):
    """Start the next wave; authentication strings by device name, unless the server generates them."""

    authentication_strings: dict[DeviceName, str] = Field(default_factory=dict, repr=False)


class BegunWave(BaseModel):
    """The wave that was started or resumed: its phones, and those that have to be reset."""

    number: int
    kind: str
    resumed: bool
    phones: list[str]
    reset: list[str]
    by_string: list[str]
    string_sites: list[str]
    seconds_left: int
    ends_by: str


class WaveStarted(BaseModel):
    """The wave, or the reason why there is none."""

    wave: BegunWave | None
    ended: bool
    wait_seconds: int
    why: str


class WaitForWave(Strict):
    """Wait until the wave has ended, at most ``timeout`` seconds."""

    runner: RunnerName
    rollout_id: RolloutId
    timeout: Annotated[float, Field(ge=0, le=60)] = 30


class WaveProgress(BaseModel):
    """The progress of a wave."""

    ended: bool
    counts: Counts
    phones_a_minute: float
    seconds_left: int
    done: list[str]
    in_flight: list[str]
    failed: list[str]
    waiting_for_string: list[str]


class Judge(Runner):
    """Judge a wave; ``not_registered``: its phones that are not registered with call processing."""

    not_registered: Phones | None = None


class FailingPhone(BaseModel):
    """A phone that is not done, and what to do."""

    device_name: str
    part: str
    status: str
    problem: str
    advice: str


class Judgement(BaseModel):
    """The judgement of the wave; ``lines`` are its failing phones by cause, for people."""

    counts: Counts
    judged: int
    allowed: int | None
    stopped: bool
    judgement: str
    problem: str
    failing: list[FailingPhone]
    lines: list[str]
    switched: list[str]
    warnings: list[str]


class Released(BaseModel):
    """Whether the run has led the rollout."""

    changed: bool


class Abort(ChangeRequest):
    """Abort the rollout with this id, by default the running one of the name; ``runner`` is the run that asks."""

    runner: RunnerName | None = None
    rollout_id: RolloutId | None = None


class AbortedRollout(BaseModel):
    """The aborted rollout, its cancelled operations, and the phones that are still in a session.

    ``message`` is a summary in one sentence.
    """

    changed: bool
    cancelled: list[str]
    in_session: list[str]
    message: str
    rollout: RolloutState


class WatchRollout(Strict):
    """Wait until the rollout differs from what it was at ``since``, at most ``timeout`` seconds."""

    runner: RunnerName
    rollout_id: RolloutId
    since: Annotated[str, Field(max_length=20)] | None = None
    timeout: Annotated[float, Field(ge=0, le=60)] = 30


class Live(BaseModel):
    """A rollout at a glance; ``problem``: why it is paused or was stopped; ``since`` is for the next request."""

    ended: bool
    state: str
    paused: bool
    problem: str
    line: str
    counts: Counts
    waiting_for_string: int
    phones_a_minute: float
    expected_end: str | None
    lines: list[str]
    since: str


class Resume(ChangeRequest):
    """Resume the rollout with this id, by default the running one of the name."""

    rollout_id: RolloutId | None = None


class Pause(Resume):
    """Pause a rollout, with the reason for people."""

    reason: Annotated[str, Field(max_length=200)] = ""


class ChangedRollout(BaseModel):
    """The rollout after the change; ``message`` is a summary in one sentence."""

    changed: bool
    message: str
    rollout: RolloutState
