"""The numbers of running rollouts for a monitor."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from capf.registry.context import Context
from capf.registry.rollout import waves
from capf.registry.rollout.tally import NOT_BEGUN
from capf.store import rollouts


@dataclass(slots=True)
class Numbers:
    """``phones`` are (rollout, state, number of phones); the others are by rollout, of the wave that runs."""

    phones: list[tuple[str, str, int]] = field(default_factory=list)
    wave: dict[str, float] = field(default_factory=dict)
    phones_a_minute: dict[str, float] = field(default_factory=dict)
    seconds_left: dict[str, float] = field(default_factory=dict)


def numbers(connection: Connection, context: Context) -> Numbers:
    """Return the numbers of all rollouts that run."""
    found = Numbers()
    for row in rollouts.count_states(connection):
        found.phones.append((row["name"], row["state"] or NOT_BEGUN, row["number"]))
    for rollout in rollouts.every(connection):
        now = waves.current(connection, context, rollout)
        if now is not None:
            found.wave[rollout["name"]] = now["number"]
            found.phones_a_minute[rollout["name"]] = now["phones_a_minute"]
            found.seconds_left[rollout["name"]] = now["seconds_left"]
    return found
