# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service and enterprise parameters: their meaning, default and range, and the values in force (R25, R11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection

from capf.model import RSA_KEY_SIZES, Fault, InvalidRequestError, Problem, not_allowed
from capf.store import named_values

Value = str | int | bool
Kind = Literal["service", "enterprise"]
_SHOWN_CHARACTERS = 100
_DIGITS = 9
"""No parameter has more digits; the interpreter refuses to parse numbers with thousands of digits."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; a change takes effect after a restart of the CAPF service."""

    name: str
    default: Value
    help: str
    unit: str = ""
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[Value, ...] = ()

    @property
    def allowed(self) -> str:
        """Describe the allowed values in words."""
        if isinstance(self.default, bool):
            return "True or False"
        if self.choices:
            return ", ".join(str(choice) for choice in self.choices)
        return f"a whole number from {self.minimum} to {self.maximum}"

    def parse(self, value: object) -> Value | None:
        """Return the value in the parameter's own type, None if it is not allowed."""
        if isinstance(self.default, bool):
            return {"true": True, "false": False}.get(str(value).lower())
        text = f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
        parsed: Value = text
        if isinstance(self.default, int):
            if isinstance(value, bool) or not text.isdecimal() or len(text) > _DIGITS:
                return None
            parsed = int(text)
            if self.minimum is not None and self.maximum is not None:
                return parsed if self.minimum <= parsed <= self.maximum else None
        return parsed if parsed in self.choices else None

    def show(self, value: Value, in_force: Value | None) -> dict[str, Any]:
        """Return the parameter with its value, the value in force, default, range and help."""
        return {
            "name": self.name,
            "value": value,
            "in_force": in_force,
            "default": self.default,
            "unit": self.unit,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "choices": list(self.choices),
            "help": self.help,
        }

    def fault(self, texts: Mapping[str, str], key: str, module: str, *, stops_capf: bool) -> Fault | None:
        """Return the fault of the text under ``key`` in the settings table, None if it can be read."""
        text = texts.get(key)
        if text is None or self.parse(text) is not None:
            return None
        problem = f"{_shown(text)!r} is not one of its values; allowed: {self.allowed}"
        return Fault(f"table settings, row {key!r}", problem, f"set it again with {module}", stops_capf)


PORT, IPV6 = "CAPF Phone Port", "Enable IPv6"
CAPF_ISSUER = "Cisco Certificate Authority Proxy Function"

SERVICE: tuple[Parameter, ...] = (
    Parameter(
        "Certificate Issuer to Endpoint",
        CAPF_ISSUER,
        "The issuer that signs the phones' certificates. This server signs them itself.",
        choices=(CAPF_ISSUER,),
    ),
    Parameter(
        "Duration Of Certificate Validity",
        5,
        "How long an LSC is valid. No LSC outlives the CAPF certificate.",
        unit="years",
        minimum=1,
        maximum=20,
    ),
    Parameter(
        "Key Size",
        2048,
        "RSA key size of phones without their own setting.",
        unit="bits",
        choices=RSA_KEY_SIZES,
    ),
    Parameter(
        "Maximum Allowable Time For Key Generation",
        30,
        "How long a session stays open while the phone makes its key. Old phones need 30 minutes and more.",
        unit="minutes",
        minimum=1,
        maximum=120,
    ),
    Parameter(
        "Maximum Allowable Attempts For Key Generation",
        3,
        "How often the phone is asked again after it failed to make a key. It is always asked for a backup key.",
        minimum=0,
        maximum=100,
    ),
    Parameter(
        "Keep-Alive Between CAPF And Phone",
        15,
        "How long the server waits for any other answer from the phone.",
        unit="minutes",
        minimum=5,
        maximum=60,
    ),
)

ENTERPRISE: tuple[Parameter, ...] = (
    Parameter(PORT, 3804, "TCP port of the CAPF service.", minimum=1024, maximum=65535),
    Parameter(
        "CAPF Operation Expires in (days)",
        10,
        "Default of Operation Completes By, in days from the time of scheduling.",
        unit="days",
        minimum=1,
        maximum=365,
    ),
    Parameter(IPV6, False, "False: CAPF rejects the connections of IPv6 phones."),
    Parameter("Cluster Security Mode", 0, "0 non-secure, 1 mixed.", choices=(0, 1)),
    Parameter("TFTP Encrypted Config", False, "True: phone configuration files are served encrypted."),
)

BY_KIND: Mapping[Kind, Sequence[Parameter]] = {"service": SERVICE, "enterprise": ENTERPRISE}


@dataclass(frozen=True, slots=True)
class InForce:
    """The parameters with which the CAPF service was started."""

    values: Mapping[str, Value]

    def number(self, name: str) -> int:
        """Return a numeric parameter."""
        return int(self.values[name])

    def flag(self, name: str) -> bool:
        """Return a True/False parameter."""
        return bool(self.values[name])


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why CAPF cannot listen: the parameters involved, starting with the one to change, and what to do."""

    names: tuple[str, ...]
    reason: str
    todo: str


WhyNotListen = Callable[[InForce], Sequence[Obstacle]]
"""Returns what would keep CAPF from listening with these parameters on this node, as far as can be known now."""


def nothing_hinders(_unused: InForce) -> Sequence[Obstacle]:
    """Report no obstacle, for a node where CAPF never runs."""
    return ()


def faults(texts: Mapping[str, str]) -> list[Fault]:
    """Return the faults of parameters with invalid stored values; CAPF does not run on guesses."""
    return [
        fault
        for kind, parameters in BY_KIND.items()
        for parameter in parameters
        if (fault := parameter.fault(texts, key(parameter), f"ucm.capf.{kind}_parameters", stops_capf=True))
    ]


def stored(connection: Connection) -> InForce:
    """Return the parameters as they are set, which take effect at the next start of the service.

    One that cannot be read is shown with its default; ``faults`` names it.
    """
    texts = named_values.every(connection)
    values: dict[str, Value] = {}
    for parameter in (*SERVICE, *ENTERPRISE):
        value = parameter.parse(texts.get(key(parameter), parameter.default))
        values[parameter.name] = parameter.default if value is None else value
    return InForce(values)


def key(parameter: Parameter) -> str:
    """Return the name under which a parameter is stored."""
    return f"parameter:{parameter.name}"


def show(kind: Kind, now: InForce, running: InForce | None) -> list[dict[str, Any]]:
    """Return every parameter with its value, the value in force, default, range and help (R25)."""
    return [
        parameter.show(now.values[parameter.name], None if running is None else running.values[parameter.name])
        for parameter in BY_KIND[kind]
    ]


def check(kind: Kind, wanted: Mapping[str, object]) -> dict[str, Value]:
    """Return the wanted values in their own types; InvalidRequestError lists all that are not allowed."""
    return _check(BY_KIND[kind], wanted)


def check_any(wanted: Mapping[str, object]) -> dict[str, Value]:
    """Do what ``check`` does with service and enterprise parameters in one mapping."""
    return _check((*SERVICE, *ENTERPRISE), wanted)


def _check(allowed: Sequence[Parameter], wanted: Mapping[str, object]) -> dict[str, Value]:
    known = {parameter.name: parameter for parameter in allowed}
    problems, values = [], {}
    for name, value in wanted.items():
        if name not in known:
            message = f"unknown parameter {_shown(name)!r}; the parameters are {', '.join(known)}"
            problems.append(Problem(f"parameters.{name}", _shown(value), message))
            continue
        parsed = known[name].parse(value)
        if parsed is None:
            problems.append(not_allowed(f"parameters.{name}", _shown(value), known[name].allowed))
        else:
            values[name] = parsed
    if problems:
        raise InvalidRequestError(problems)
    return values


def check_listening(now: InForce, wanted: Mapping[str, Value], why_not_listen: WhyNotListen) -> None:
    """Raise InvalidRequestError if CAPF could not listen because of one of the wanted parameters."""
    if wanted.keys().isdisjoint((PORT, IPV6)):
        return
    problems: dict[str, Problem] = {}
    for obstacle in why_not_listen(InForce({**now.values, **wanted})):
        name = next((name for name in obstacle.names if name in wanted), None)
        if name is not None:
            message = f"{obstacle.reason}; {obstacle.todo}"
            problems.setdefault(name, Problem(f"parameters.{name}", str(wanted[name]), message))
    if problems:
        raise InvalidRequestError(list(problems.values()))


def _shown(value: object) -> str:
    """Return a value shortened to the length of any sensible one."""
    return str(value)[:_SHOWN_CHARACTERS]
