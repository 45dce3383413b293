"""How a rollout is paced and judged; kept with it, so that taking it up again goes on in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from capf.model import AuthenticationMode, DamagedError, Fault, InvalidRequestError, Problem, not_allowed
from capf.registry import moment, parameters
from capf.registry.rollout import amounts
from capf.registry.rollout.amounts import Amount

AUTO = "auto"
RESET_SECONDS = 300
"""What a phone may take from its reset until it makes its key."""
SITES = ("device_pool", "device_type", "security_profile", "none")


@dataclass(frozen=True, slots=True)
class Settings:
    """``wave_size``, ``pilot_size`` and both limits are numbers or shares; times are seconds, dates texts (R26).

    ``wave_seconds`` 0: as long as a phone may take that is reset and makes its key."""

    wave_size: str = "50"
    wave_seconds: int = 0
    string_seconds: int = 0
    pilot_size: str = "0"
    failure_limit: str = "10%"
    pilot_failure_limit: str = "5%"
    open_sessions: int = 2500
    spread_by: str = "device_pool"
    more_tries: int = 1
    renew_before_days: int = 0
    force: bool = False
    window_start: str = ""
    window_end: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """Settings that were read: ``wave`` is None where it is computed from the window; times are epoch seconds."""

    wave: Amount | None
    pilot: Amount
    starts_at: int | None
    ends_at: int | None


def pace(settings: Settings, now: int) -> Pace:
    """Return what the settings say; InvalidRequestError names all that makes no sense. ``now``: epoch seconds."""
    problems: list[Problem] = []
    automatic = settings.wave_size == AUTO
    found = Pace(
        wave=None if automatic else amounts.parse(settings.wave_size, "wave_size", problems, minimum=1),
        pilot=amounts.parse(settings.pilot_size, "pilot_size", problems),
        starts_at=_moment(settings.window_start, "window_start", problems),
        ends_at=_moment(settings.window_end, "window_end", problems),
    )
    amounts.parse(settings.failure_limit, "failure_limit", problems)
    amounts.parse(settings.pilot_failure_limit, "pilot_failure_limit", problems)
    if settings.spread_by not in SITES:
        problems.append(not_allowed("spread_by", settings.spread_by, SITES))
    if automatic and found.ends_at is None:
        message = "auto needs window_end; set it, or give a number of phones or a share"
        problems.append(Problem("wave_size", AUTO, message))
    if found.ends_at is not None and found.ends_at <= max(now, found.starts_at or 0):
        message = f"{settings.window_end!r} is over, or before window_start; give a time to come, after window_start"
        problems.append(Problem("window_end", settings.window_end, message))
    if problems:
        raise InvalidRequestError(problems)
    return found


def with_wave_seconds(settings: Settings, in_force: parameters.InForce) -> Settings:
    """Return the settings with the seconds of a wave, where they are left to the phones' key generation time."""
    if settings.wave_seconds:
        return settings
    minutes = in_force.number("Maximum Allowable Time For Key Generation")
    return replace(settings, wave_seconds=RESET_SECONDS + 60 * minutes)


def seconds(settings: Settings, modes: Iterable[str | None]) -> int:
    """Return the seconds of a wave whose phones have these Authentication Modes: people may need more for strings."""
    by_string = AuthenticationMode.STRING in modes
    return max(settings.wave_seconds, settings.string_seconds) if by_string else settings.wave_seconds


def limit(settings: Settings, *, pilot: bool) -> Amount:
    """Return how many phones of a wave may fail, by settings that were accepted when the rollout began."""
    return amounts.parse(settings.pilot_failure_limit if pilot else settings.failure_limit, "failure_limit", [])


def _moment(text: str, field: str, problems: list[Problem]) -> int | None:
    if not text:
        return None
    try:
        return moment.read(text, field)
    except InvalidRequestError as error:
        problems += error.problems
        return None


def from_record(kept: Mapping[str, Any]) -> Settings:
    """Return settings as the record keeps them; DamagedError where they are not those of a rollout."""
    try:
        return Settings(**kept)
    except TypeError:
        todo = "abort the rollout and begin it under another name, or restore a backup"
        raise DamagedError(Fault("table rollouts", "the settings of a rollout cannot be read", todo)) from None
