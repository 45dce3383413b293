# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of a rollout: the one table from which the API's shape and the collection's options are made (R16).

They are read once, where the API takes them, into amounts and moments, and recorded as they were read, so that a
rollout that is resumed continues in the same way. To add one, add a field to ``RolloutSettings`` and run
``scripts/generate``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import cache
from typing import Annotated, Any, get_type_hints

from capf.model import AuthenticationMode, DamagedError, Fault, InvalidRequestError, Problem, not_allowed
from capf.registry import moment, parameters, phone_fields
from capf.registry.rollout import amounts
from capf.registry.rollout.amounts import Amount

AUTO = "auto"
NO_SITES = "none"
WAVES, ROLLING = "waves", "rolling"
FIRST, OVERLAP = "first", "overlap"
RESET_SECONDS = 300
"""The time that a phone may need from its reset until it makes its key."""
_DAY, _WEEK = 86400, 604_800


class SettingKind(Enum):
    """What the values of a setting are."""

    AMOUNT = "amount"
    NUMBER = "number"
    CHOICE = "choice"
    FLAG = "flag"
    MOMENT = "moment"


@dataclass(frozen=True, slots=True)
class RolloutSetting:
    """The description of a setting: ``title`` in a few words, ``help`` a sentence each, ``default`` as people write it.

    ``choices``: the words of a choice, or what an amount can be besides a number or a percentage. ``minimum`` and
    ``maximum`` bound a number, ``minimum`` an amount too. ``rolling``: whether only that strategy has it.
    """

    title: str
    kind: SettingKind
    default: str | int | bool
    help: tuple[str, ...]
    choices: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int | None = None
    rolling: bool = False


def _read(name: str, setting: RolloutSetting, value: Any, problems: list[Problem]) -> Any:
    """Return the parsed value; add a problem for ``name`` if the setting does not allow it."""
    if setting.kind is SettingKind.AMOUNT:
        return None if value in setting.choices else amounts.parse(value, name, problems, setting.minimum)
    if setting.kind is SettingKind.MOMENT:
        return _moment(value, name, problems)
    if setting.kind is SettingKind.CHOICE and value not in setting.choices:
        problems.append(not_allowed(name, value, setting.choices))
    return value


def _moment(text: str, name: str, problems: list[Problem]) -> int | None:
    if not text:
        return None
    try:
        return moment.read(text, name, begins=name == "window_start")
    except InvalidRequestError as error:
        problems += error.problems
        return None


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """How a rollout is paced and judged (R26). Times are seconds, moments epoch seconds; ``wave_size`` is None if it is
    computed from the window, and a moment is None if it is not given."""

    strategy: Annotated[
        str,
        RolloutSetting(
            "Strategy",
            SettingKind.CHOICE,
            WAVES,
            (
                "V(waves) starts a wave of phones, waits until the last of them is done, and starts the next one.",
                "V(rolling) keeps a number of phones in flight, and admits the next phone as soon as one is done. The"
                " server runs such a rollout; the run on the control node watches it and is its heartbeat.",
            ),
            choices=(WAVES, ROLLING),
        ),
    ]
    wave_size: Annotated[
        Amount | None,
        RolloutSetting(
            "Wave Size",
            SettingKind.AMOUNT,
            "50",
            (
                "Maximum number of phones in a wave, as a number such as V(50), a percentage of the phones such as"
                " V(5%), or V(auto), which is the smallest size with which all waves fit into the window.",
                "A wave never contains more than half of a site's phones.",
            ),
            choices=(AUTO,),
            minimum=1,
        ),
    ]
    wave_seconds: Annotated[
        int,
        RolloutSetting(
            "Seconds a Wave",
            SettingKind.NUMBER,
            0,
            (
                "Maximum duration of a wave in seconds. Phones that are not done by then count as failed.",
                "V(0) means five minutes more than the service parameter C(Maximum Allowable Time For Key Generation).",
            ),
            maximum=_DAY,
        ),
    ]
    string_seconds: Annotated[
        int,
        RolloutSetting(
            "Seconds a Wave with Strings",
            SettingKind.NUMBER,
            0,
            (
                "Maximum duration in seconds of a wave in which people have to enter authentication strings; V(0) means"
                " the same as without strings.",
            ),
            maximum=_WEEK,
        ),
    ]
    pilot_size: Annotated[
        Amount,
        RolloutSetting(
            "Pilot Size",
            SettingKind.AMOUNT,
            "0",
            ("Number or percentage of phones in the pilot wave, which goes first; V(0) means no pilot.",),
        ),
    ]
    failure_limit: Annotated[
        Amount,
        RolloutSetting(
            "Failure Limit",
            SettingKind.AMOUNT,
            "10%",
            ("Number or percentage of phones of a wave that may fail without stopping the rollout.",),
        ),
    ]
    pilot_failure_limit: Annotated[
        Amount,
        RolloutSetting(
            "Failure Limit of the Pilot",
            SettingKind.AMOUNT,
            "5%",
            ("Number or percentage of phones of the pilot wave that may fail without stopping the rollout.",),
        ),
    ]
    open_sessions: Annotated[
        int,
        RolloutSetting(
            "Open Sessions",
            SettingKind.NUMBER,
            2500,
            ("Maximum number of phones in flight at the same time, including those of earlier waves.",),
            minimum=1,
            maximum=100_000,
        ),
    ]
    in_flight: Annotated[
        Amount,
        RolloutSetting(
            "In Flight",
            SettingKind.AMOUNT,
            "250",
            ("With V(rolling), number or percentage of phones in flight at the same time.",),
            minimum=1,
            rolling=True,
        ),
    ]
    site_share: Annotated[
        int,
        RolloutSetting(
            "Site Share",
            SettingKind.NUMBER,
            50,
            ("With V(rolling), maximum percentage of a site's phones in flight at the same time.",),
            minimum=1,
            maximum=100,
            rolling=True,
        ),
    ]
    contact_seconds: Annotated[
        int,
        RolloutSetting(
            "Contact Seconds",
            SettingKind.NUMBER,
            RESET_SECONDS,
            (
                "With V(rolling), seconds from a phone's restart until it has to be seen, which means that it fetches"
                " a file or connects to CAPF. Otherwise the phone counts as unreached and its place is free.",
                "The phone keeps its operation, and is done if it comes later.",
            ),
            minimum=1,
            maximum=_DAY,
            rolling=True,
        ),
    ]
    refused_seconds: Annotated[
        int,
        RolloutSetting(
            "Refused Seconds",
            SettingKind.NUMBER,
            120,
            (
                "With V(rolling), time in seconds for which a refused phone keeps its place, because phones retry;"
                " after that it counts as failed until it succeeds.",
            ),
            minimum=1,
            maximum=_DAY,
            rolling=True,
        ),
    ]
    registration_seconds: Annotated[
        int,
        RolloutSetting(
            "Registration Seconds",
            SettingKind.NUMBER,
            600,
            (
                "With V(rolling), time in seconds after which a phone with its new LSC has to be registered with call"
                " processing again, if the server has a registration command.",
            ),
            minimum=1,
            maximum=_DAY,
            rolling=True,
        ),
    ]
    waiting_strings: Annotated[
        int,
        RolloutSetting(
            "Waiting Strings",
            SettingKind.NUMBER,
            100,
            (
                "With V(rolling), maximum number of phones that wait for a person to enter their authentication string."
                " They are not among the phones in flight.",
            ),
            minimum=1,
            maximum=100_000,
            rolling=True,
        ),
    ]
    resets_per_minute: Annotated[
        int,
        RolloutSetting(
            "Resets a Minute",
            SettingKind.NUMBER,
            0,
            ("With V(rolling), maximum number of phones that are reset within a minute; V(0) means no limit.",),
            maximum=100_000,
            rolling=True,
        ),
    ]
    judged_last: Annotated[
        int,
        RolloutSetting(
            "Judged Last",
            SettingKind.NUMBER,
            50,
            (
                "With V(rolling), number of phones that ended last on which the failure limits are judged continuously,"
                " besides all phones of the rollout.",
            ),
            minimum=1,
            maximum=100_000,
            rolling=True,
        ),
    ]
    unreached_limit: Annotated[
        Amount,
        RolloutSetting(
            "Limit of Unreached Phones",
            SettingKind.AMOUNT,
            "20%",
            ("With V(rolling), number or percentage of phones that may stay unreached without pausing the rollout.",),
            rolling=True,
        ),
    ]
    pilot: Annotated[
        str,
        RolloutSetting(
            "Pilot",
            SettingKind.CHOICE,
            FIRST,
            (
                "With V(rolling), V(first) admits no other phone until the pilot has been judged; V(overlap) admits a"
                " few, and more of them as the phones of the pilot are done.",
            ),
            choices=(FIRST, OVERLAP),
            rolling=True,
        ),
    ]
    reset: Annotated[
        bool,
        RolloutSetting(
            "Reset",
            SettingKind.FLAG,
            True,
            ("Reset phones with the server's reset command. Otherwise, somebody else has to reset them.",),
            rolling=True,
        ),
    ]
    unattended: Annotated[
        bool,
        RolloutSetting(
            "Unattended",
            SettingKind.FLAG,
            False,
            (
                "With V(rolling), whether the server goes on to admit phones when no run watches the rollout. By"
                " default, phones in flight end and no further one is admitted until a run resumes the rollout.",
            ),
            rolling=True,
        ),
    ]
    spread_by: Annotated[
        str,
        RolloutSetting(
            "Spread By",
            SettingKind.CHOICE,
            "device_pool",
            ("The field that identifies a phone's site, used to keep a wave from taking all phones of one site.",),
            choices=(*phone_fields.sites(), NO_SITES),
        ),
    ]
    retries: Annotated[
        int,
        RolloutSetting(
            "Retries",
            SettingKind.NUMBER,
            1,
            ("Number of retries for a phone that may succeed on a retry. Retries have their own waves.",),
            maximum=10,
        ),
    ]
    renew_before: Annotated[
        int,
        RolloutSetting(
            "Renew Before",
            SettingKind.NUMBER,
            0,
            ("Renew an LSC that expires within this number of days.",),
            maximum=7300,
        ),
    ]
    force: Annotated[
        bool,
        RolloutSetting("Force", SettingKind.FLAG, False, ("Also issue a new LSC to phones whose LSC is up to date.",)),
    ]
    window_start: Annotated[
        int | None,
        RolloutSetting(
            "Window Start",
            SettingKind.MOMENT,
            "",
            (
                "Start of the maintenance window, such as V(2030-01-31T22:00), in the first node's time zone. Empty"
                " means now.",
            ),
        ),
    ]
    window_end: Annotated[
        int | None,
        RolloutSetting(
            "Window End",
            SettingKind.MOMENT,
            "",
            (
                "End of the maintenance window. It is also Operation Completes By of every phone. A wave is only"
                " started if it can end before the window closes.",
                "A date without a time means the end of that day. Empty means no end.",
            ),
        ),
    ]


@cache
def described() -> Mapping[str, RolloutSetting]:
    """Return the description of each setting by its name."""
    hints = get_type_hints(RolloutSettings, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


def read(given: Mapping[str, Any]) -> RolloutSettings:
    """Parse settings as people write them, with defaults for the others; InvalidRequestError names all that are
    invalid."""
    problems, known = list[Problem](), described()
    values = {name: _read(name, setting, given.get(name, setting.default), problems) for name, setting in known.items()}
    if problems:
        raise InvalidRequestError(problems)
    return RolloutSettings(**values)


def check(settings: RolloutSettings, now: int) -> None:
    """Raise InvalidRequestError if a rollout with these settings cannot begin ``now`` (epoch seconds)."""
    problems, end = list[Problem](), settings.window_end
    if settings.wave_size is None and end is None:
        message = "auto needs window_end; set it, or give a number of phones or a percentage"
        problems.append(Problem("wave_size", AUTO, message))
    if end is not None and end <= max(now, settings.window_start or 0):
        shown = moment.show(end) or ""
        message = f"{shown!r} is past, or before window_start; give a future time, after window_start"
        problems.append(Problem("window_end", shown, message))
    if problems:
        raise InvalidRequestError(problems)


def show(settings: RolloutSettings) -> dict[str, Any]:
    """Return the settings as people write them."""
    return {name: _shown(setting, getattr(settings, name)) for name, setting in described().items()}


def _shown(setting: RolloutSetting, value: Any) -> Any:
    if setting.kind is SettingKind.AMOUNT:
        return AUTO if value is None else str(value)
    if setting.kind is SettingKind.MOMENT:
        return moment.show(value) or ""
    return value


def with_wave_seconds(settings: RolloutSettings, in_force: parameters.InForce) -> RolloutSettings:
    """Return the settings with the seconds of a wave filled in if they depend on the phones' key generation time."""
    if settings.wave_seconds:
        return settings
    minutes = in_force.number("Maximum Allowable Time For Key Generation")
    return replace(settings, wave_seconds=RESET_SECONDS + 60 * minutes)


def seconds(settings: RolloutSettings, modes: Iterable[str | None]) -> int:
    """Return the seconds of a wave whose phones have these Authentication Modes: people may need more for strings."""
    by_string = AuthenticationMode.STRING in modes
    return max(settings.wave_seconds, settings.string_seconds) if by_string else settings.wave_seconds


def as_record(settings: RolloutSettings) -> dict[str, Any]:
    """Return the settings as the record keeps them; ``from_record`` reads them again."""
    return asdict(settings)


def from_record(kept: Mapping[str, Any]) -> RolloutSettings:
    """Return settings as the record keeps them; DamagedError if they are not settings of a rollout."""
    known = described()
    try:
        return replace(read({}), **{name: _recorded(known[name], value) for name, value in kept.items()})
    except (TypeError, KeyError):
        todo = "abort the rollout and begin it under another name, or restore a backup"
        raise DamagedError(Fault("table rollouts", "the settings of a rollout cannot be read", todo)) from None


def _recorded(setting: RolloutSetting, value: Any) -> Any:
    return Amount(**value) if setting.kind is SettingKind.AMOUNT and value is not None else value
