# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the API takes and gives about rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field, StrictBool, create_model

from capf.api.shapes import MAXIMUM_PHONES, Change, Name, Phone, SearchCriterion, Strict
from capf.registry.rollout.settings import RolloutSetting, SettingKind, described

_Runner = Annotated[str, Field(min_length=1, max_length=80)]
_RolloutId = Annotated[int, Field(ge=1, le=2**63 - 1)]
OneRollout = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
"""The id of a rollout in a query; without it, the latest of the name is meant."""
_Phones = Annotated[list[Name], Field(max_length=MAXIMUM_PHONES)]


def _type_of(setting: RolloutSetting) -> Any:
    """Return how a setting travels; the registry reads amounts and moments from texts."""
    if setting.kind is SettingKind.NUMBER:
        return Annotated[int, Field(title=setting.title, ge=setting.minimum, le=setting.maximum)]
    return Annotated[StrictBool if setting.kind is SettingKind.FLAG else str, Field(title=setting.title)]


class RolloutPhone(Phone):
    """A phone to register, and the Device Security Mode that it gets once it has its LSC. Its authentication string is
    given again where its wave is started."""

    security_mode_after: str | None = None


if TYPE_CHECKING:
    PacedChange = Change
else:
    PacedChange = create_model(
        "PacedChange",
        __base__=Change,
        __doc__="A change with the settings of a rollout.",
        **{name: (_type_of(setting), setting.default) for name, setting in described().items()},
    )


class Rollout(PacedChange):
    """Phones, and how they are paced and judged; ``runner`` is a name of this run alone. ``rollout_id``: the running
    rollout that this run has waited for; it resumes that one and no other."""

    runner: _Runner
    rollout_id: _RolloutId | None = None
    phones: Annotated[list[RolloutPhone], Field(max_length=MAXIMUM_PHONES)] | None = None
    names: _Phones | None = None
    criteria: list[SearchCriterion] | None = None
    before_window: Literal["wait", "refuse"] = "wait"


class PlannedWave(BaseModel):
    """A wave of a plan."""

    number: int
    kind: str
    phones: list[str]


class RolloutPlan(BaseModel):
    """The waves, who is skipped and why, and when it ends at the latest."""

    waves: list[PlannedWave]
    skipped: dict[str, list[str]]
    warnings: list[str]
    starts_at: str
    starts_in_seconds: int
    latest_end: str
    window_end: str | None


class RolloutHead(BaseModel):
    """One rollout in short."""

    id: int
    name: str
    state: str
    problem: str
    created_at: str
    ended_at: str | None
    ended_by: str
    starts_at: str | None
    window_end: str | None


class Rollouts(BaseModel):
    """All rollouts."""

    rollouts: list[RolloutHead]


class Verdict(BaseModel):
    """The verdict on a wave; ``allowed`` is None for a retry, which stops nothing."""

    judged: int
    failing: int
    allowed: int | None
    stopped: bool


class Counts(BaseModel):
    """How many phones there are, and how many of them have which part of the rollout, which add up to the phones."""

    phones: int
    waiting: int
    in_flight: int
    done: int
    failed: int
    unreached: int
    skipped: int


class Wave(Counts):
    """One wave, its phones by part as they are now, or as they were when it was judged, and the verdict on it."""

    number: int
    kind: str
    started_at: str | None
    judged_at: str | None
    seconds: int | None
    words: str
    verdict: Verdict | None
    judgement: str


class SlowPhone(BaseModel):
    """A phone that took long."""

    device_name: str
    seconds: int


class RolloutLine(BaseModel):
    """One phone of a rollout."""

    device_name: str
    description: str
    device_pool: str
    site: str
    wave: int
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
    """The wave that runs, in numbers."""

    number: int
    counts: Counts
    phones_a_minute: float
    seconds_left: int


class RolloutState(RolloutHead):
    """One rollout in numbers; ``words`` are its ``counts`` as a sentence, ``progress`` is of the wave that runs.
    ``refusals``: how often somebody was refused who claimed one of its operations."""

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


class RolloutBegun(BaseModel):
    """A rollout that was begun or resumed with what is left of it; without a rollout no phone needs an LSC."""

    changed: bool
    begun: bool
    resumed: bool
    registered: dict[str, int]
    plan: RolloutPlan
    rollout: RolloutState | None


class Runner(Change):
    """The run that asks, and the rollout that it saw."""

    runner: _Runner
    rollout_id: _RolloutId


class StartWave(Runner):
    """Start the next wave; authentication strings by device name where they are given and not made."""

    authentication_strings: dict[Name, str] = Field(default_factory=dict, repr=False)


class BegunWave(BaseModel):
    """The wave that was started, or goes on: its phones, and those that have to be reset."""

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
    """The wave, or why there is none."""

    wave: BegunWave | None
    ended: bool
    wait_seconds: int
    why: str


class WaitForWave(Strict):
    """Wait until the wave has ended, at most ``timeout`` seconds."""

    runner: _Runner
    rollout_id: _RolloutId
    timeout: Annotated[float, Field(ge=0, le=60)] = 30


class WaveProgress(BaseModel):
    """How far a wave is."""

    ended: bool
    counts: Counts
    phones_a_minute: float
    seconds_left: int
    done: list[str]
    in_flight: list[str]
    failed: list[str]
    waiting_for_string: list[str]


class Judge(Runner):
    """Judge a wave; ``not_registered``: its phones that call processing does not know."""

    not_registered: _Phones = Field(default_factory=list)


class FailingPhone(BaseModel):
    """A phone that is not done, and what to do."""

    device_name: str
    part: str
    status: str
    problem: str
    advice: str


class Judgement(BaseModel):
    """What the wave's result means."""

    counts: Counts
    judged: int
    allowed: int | None
    stopped: bool
    judgement: str
    problem: str
    failing: list[FailingPhone]
    switched: list[str]


class Released(BaseModel):
    """Whether the run led the rollout until now."""

    changed: bool


class Abort(Change):
    """Abort the rollout with this id, or the one of the name that runs; ``runner`` is the one that asks, if any."""

    runner: _Runner | None = None
    rollout_id: _RolloutId | None = None


class Aborted(BaseModel):
    """The rollout that was aborted, whose operations were cancelled, and which phones are left to end their session;
    ``message`` says it as a sentence."""

    changed: bool
    cancelled: list[str]
    in_session: list[str]
    message: str
    rollout: RolloutState
