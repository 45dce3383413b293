# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The continuous judgement of a rolling rollout: when too many phones are not done, it pauses (P72).

One rule: no more phones than the limit allows may fail, neither among the last ended ones nor in the whole rollout; the
same for unreached phones with a separate limit. A percentage is a share of the phones that the rule looks at, and a
number holds as it is. The pilot is judged once, when all of it has ended, and more strictly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from capf.model import counted
from capf.registry.rollout.amounts import Amount
from capf.registry.rollout.policy.observed import PhoneOutcome, RolloutLimits, View

_SHOWN = 3


def sample(limits: RolloutLimits) -> int:
    """Return over how many of the last ended phones failures are judged.

    At least as many as are in flight at once: of phones that were admitted together, those that are refused or absent
    all end first, within a moment, and would be most of any smaller number of last ones.
    """
    return max(limits.judged_last, limits.in_flight)


def pilot_has_ended(view: View) -> bool:
    """Return whether the pilot is to be judged now: it was not, and all of it has ended."""
    nothing_in_flight = not view.pilot.in_flight or not view.in_flight
    return not view.pilot.judged and not view.pilot.waiting and nothing_in_flight


def judge_pilot(view: View, limits: RolloutLimits) -> str:
    """Return why the pilot pauses the rollout, with numbers and limit; "" if it passes. All of it has ended."""
    totals, size = view.pilot.totals, view.pilot.size
    failed, unreached = totals.get(PhoneOutcome.FAILED, 0), totals.get(PhoneOutcome.UNREACHED, 0)
    allowed = limits.pilot_failure_limit.of(size)
    if failed + unreached <= allowed:
        return ""
    numbers = f"{failed:,} failed, {unreached:,} unreached; {allowed:,} allowed"
    return f"the pilot of {counted(size, 'phone')} did not pass: {numbers}{_addresses(view, failed)}"


def judge(view: View, limits: RolloutLimits) -> str:
    """Return why too many phones are not done for the rollout to go on, with numbers and limit; "" if they are not."""
    for kind, limit in ((PhoneOutcome.FAILED, limits.failure_limit), (PhoneOutcome.UNREACHED, limits.unreached_limit)):
        problem = _recent(view, sample(limits), kind, limit) or _in_all(view, kind, limit)
        if problem:
            return problem + _addresses(view, kind is PhoneOutcome.FAILED)
    return ""


def _recent(view: View, size: int, kind: PhoneOutcome, limit: Amount) -> str:
    last: Sequence[PhoneOutcome] = view.ended.recent[-size:]
    found, allowed = Counter(last)[kind], limit.of(min(size, view.phones))
    return _words(found, f"the last {counted(len(last), 'ended phone')}", kind, allowed)


def _in_all(view: View, kind: PhoneOutcome, limit: Amount) -> str:
    found, allowed = view.ended.totals.get(kind, 0), limit.of(view.phones)
    return _words(found, f"all {counted(view.phones, 'phone')}", kind, allowed)


def _words(found: int, of: str, kind: PhoneOutcome, allowed: int) -> str:
    return f"{found:,} of {of} {kind}, {allowed:,} allowed" if found > allowed else ""


def _addresses(view: View, failed: int) -> str:
    """Return where refusals came from: what the failed phones have in common is often the network."""
    shown = ", ".join(view.addresses[:_SHOWN])
    more = f" and {len(view.addresses) - _SHOWN:,} more" if len(view.addresses) > _SHOWN else ""
    return f"; refused from {shown}{more}" if failed and shown else ""
