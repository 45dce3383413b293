"""What the API takes and gives about rollouts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool

from capf.api.shapes import MAXIMUM_PHONES, Change, Name, Phone, SearchCriterion, Strict

_Runner = Annotated[str, Field(min_length=1, max_length=80)]
_Phones = Annotated[list[Name], Field(max_length=MAXIMUM_PHONES)]


class RolloutPhone(Phone):
    """A phone to register, and the Device Security Mode that it gets once it has its LSC. Its authentication string is
    given again where its wave is started."""

    security_mode_after: str | None = None


class Rollout(Change):
    """Phones, and how they are paced and judged; ``runner`` is a name of this run alone."""

    runner: _Runner
    phones: Annotated[list[RolloutPhone], Field(max_length=MAXIMUM_PHONES)] | None = None
    names: _Phones | None = None
    criteria: list[SearchCriterion] | None = None
    wave_size: str = "50"
    wave_seconds: Annotated[int, Field(ge=0, le=86400)] = 0
    string_seconds: Annotated[int, Field(ge=0, le=604_800)] = 0
    pilot_size: str = "0"
    failure_limit: str = "10%"
    pilot_failure_limit: str = "5%"
    open_sessions: Annotated[int, Field(ge=1, le=100_000)] = 2500
    spread_by: str = "device_pool"
    more_tries: Annotated[int, Field(ge=0, le=10)] = 1
    renew_before_days: Annotated[int, Field(ge=0, le=7300)] = 0
    force: StrictBool = False
    window_start: str = ""
    window_end: str = ""
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

    name: str
    state: str
    problem: str
    created_at: str
    ended_at: str | None
    starts_at: str | None
    window_end: str | None


class Rollouts(BaseModel):
    """All rollouts."""

    rollouts: list[RolloutHead]


class Wave(BaseModel):
    """One wave and how far it is."""

    number: int
    kind: str
    started_at: str | None
    judged_at: str | None
    seconds: int | None
    phones: int
    done: int
    failed: int
    pending: int
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
    status: str
    problem: str
    seconds: int | None
    advice: str
    to_visit: str


class WaveNow(BaseModel):
    """The wave that runs, in numbers."""

    number: int
    counts: dict[str, int]
    phones_a_minute: float
    seconds_left: int


class RolloutState(RolloutHead):
    """One rollout in numbers; ``progress`` is of the wave that runs."""

    progress: WaveNow | None

    settings: dict[str, Any]
    skipped: dict[str, int]
    counts: dict[str, int]
    by_status: dict[str, int]
    waves: list[Wave]
    slowest: list[SlowPhone]
    to_visit: list[RolloutLine]


class RolloutBegun(BaseModel):
    """A rollout that was begun, or taken up with what is left of it; without a rollout no phone needs an LSC."""

    changed: bool
    begun: bool
    resumed: bool
    registered: dict[str, int]
    plan: RolloutPlan
    rollout: RolloutState | None


class Runner(Change):
    """The run that asks."""

    runner: _Runner


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
    timeout: Annotated[float, Field(ge=0, le=60)] = 30


class WaveProgress(BaseModel):
    """How far a wave is."""

    ended: bool
    counts: dict[str, int]
    phones_a_minute: float
    seconds_left: int
    pending: list[str]
    failed: list[str]
    waiting_for_string: list[str]


class Judge(Runner):
    """Judge a wave; ``not_registered``: its phones that call processing does not know."""

    not_registered: _Phones = Field(default_factory=list)


class FailingPhone(BaseModel):
    """A phone that failed, and what to do."""

    device_name: str
    status: str
    problem: str
    advice: str


class Judgement(BaseModel):
    """What the wave's result means."""

    counts: dict[str, int]
    allowed: int
    stopped: bool
    failing: list[FailingPhone]
    switched: list[str]


class Released(BaseModel):
    """Whether the run led the rollout until now."""

    changed: bool


class Aborted(BaseModel):
    """Whose operation was cancelled."""

    changed: bool
    cancelled: list[str]
