# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guessing authentication strings: locks per phone and address, waits, budgets, and their effect (P40)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from capf.model import Outcome
from capf.phone_session.effects import Cause, Claim, Granted, Refused
from capf.phone_session.wire import Reason
from capf.registry import events, guessing, phones, preflight, report, search, sessions
from capf.registry.context import Policy
from capf.registry.elapsed import Elapsed
from capf.registry.search import Page
from capf.registry.transaction import Transaction
from capf.store import schema
from support import spreadsheet
from support.guessing import DAY, DAYS, FOUR_DIGITS, GENERATED, MODE, Attack, prepare
from support.record import NOW, PHONE, Record, claiming

RIGHT, WRONG = "12345678", "00000000"
HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"
INVALID_STRING = (Reason.REJECTED, Outcome.INVALID_STRING)
YEAR = 365 * DAY
NAMES = [f"SEP0000000000{index:02X}" for index in range(40)]


def wanted(record: Record, *names: str) -> None:
    """Register phones and schedule an operation by string for each."""
    for name in names or (PHONE,):
        record.add(name, **MODE)
    record.plan(items=[{"device_name": name, "authentication_string": RIGHT} for name in names or (PHONE,)])


def lives(record: Record, days: int) -> None:
    """Set the deadline of the operations to this number of days after the start."""
    record.run(lambda c: c.execute(schema.operations.update().values(completes_by=int(NOW) + days * DAY)))


def guess(record: Record, times: int, name: str = PHONE, peer: str = HERE) -> None:
    """Send a wrong string this number of times."""
    for _index in range(times):
        assert is_refused(record.claim(name, password=WRONG, peer=peer))


def is_refused(decision: Granted | Refused) -> bool:
    """Return whether a phone is refused as for a wrong string."""
    return isinstance(decision, Refused) and (decision.reason, decision.outcome) == INVALID_STRING


def would_come_in(record: Record, name: str = PHONE, peer: str = HERE, **given: Any) -> bool:
    """Return whether the correct string would be accepted now, without changing anything."""
    context = given.get("context", record.context)

    class UndoneError(Exception):
        """Rolls the claim back."""

    def job(connection: Any) -> None:
        claim = Claim(name, 3, 1, peer, password=RIGHT)
        raise UndoneError(sessions.claim(Transaction(connection, context), claim))

    with pytest.raises(UndoneError) as undone:
        record.run(job)
    return isinstance(undone.value.args[0], Granted)


def wait_of_next_lock(record: Record) -> int:
    """Guess until the phone is locked; return the duration of the lock in seconds, as observed from outside."""
    guess(record, 10)
    assert not would_come_in(record)
    begin, low, high = record.steady[0], 0, 40 * DAY
    while low < high:
        middle = (low + high) // 2
        record.steady[0] = begin + middle
        low, high = (low, middle) if would_come_in(record) else (middle + 1, high)
    record.steady[0] = begin + low
    return low


def test_p40_a_guess_from_one_address_never_locks_the_phone_at_another(record: Record) -> None:
    wanted(record)
    guess(record, 30)
    assert is_refused(record.claim(password=RIGHT))
    assert would_come_in(record, peer=ELSEWHERE)
    assert isinstance(record.claim(password=RIGHT, peer=ELSEWHERE), Granted)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_p40_an_address_is_an_ipv4_address_or_an_ipv6_network(record: Record, one: str, other: str, same: bool) -> None:
    wanted(record)
    guess(record, 10, peer=one)
    assert would_come_in(record, peer=other) is not same


def test_p40_waits_double_up_to_a_day_and_the_hundredth_try_is_the_last(record: Record) -> None:
    record.context.policy = Policy()
    wanted(record)
    waits = [wait_of_next_lock(record) for _index in range(9)]
    assert waits == [600, 1200, 2400, 4800, 9600, 19200, 38400, 76800, DAY]
    assert wait_of_next_lock(record) >= 10 * DAY - sum(waits)
    assert record.guesses(PHONE)[HERE]["tries"] == 100


def test_p40_a_locked_try_is_refused_like_all_others_and_leaves_nothing(record: Record) -> None:
    """For any string; the connection answers every refusal after the same time."""
    wanted(record)
    guess(record, 10)
    before, acts = record.guesses(PHONE), record.acts()
    for password in (RIGHT, WRONG, "1"):
        claim = Claim(PHONE, 3, 1, HERE, password=password)
        refused = record.run(claiming(record.context, claim))
        assert refused == Refused(Reason.REJECTED, Outcome.INVALID_STRING, Cause.LOCKED)
    assert (record.guesses(PHONE), record.acts()) == (before, acts)


def test_p40_a_locked_try_prolongs_nothing(record: Record) -> None:
    wanted(record)
    guess(record, 10)
    record.wait(300)
    guess(record, 50)
    record.wait(300)
    assert would_come_in(record)


@pytest.mark.parametrize("jumps", [(-YEAR,), (YEAR,), (-YEAR, YEAR), (YEAR, -YEAR), (-2 * YEAR, YEAR)])
def test_p40_a_wait_is_as_long_as_it_is_wherever_the_clock_is_set(record: Record, jumps: tuple[int, ...]) -> None:
    record.context.policy = Policy(lock_seconds=1200)
    wanted(record)
    lives(record, 9 * 365)
    guess(record, 10)
    for jump in jumps:
        record.times[0] += jump
        record.wait(1199 / len(jumps))
        assert not would_come_in(record)
    record.wait(1)
    assert would_come_in(record)


@pytest.mark.parametrize(("boot", "down"), [("boot", 100), ("another", 100)])
def test_p40_a_wait_outlives_the_process(record: Record, boot: str, down: int) -> None:
    """While the host runs, the time counts; after a reboot, the wait continues from its last recorded value."""
    wanted(record)
    lives(record, 2 * 365)
    record.run(lambda c: guessing.keep(Transaction(c, record.context)))
    guess(record, 10)
    record.wait(200)
    record.run(lambda c: guessing.keep(Transaction(c, record.context)))
    record.times[0] += YEAR
    record.steady[0] = record.steady[0] + down if boot == "boot" else 5.0
    record.context.elapsed = Elapsed(lambda: record.steady[0], lambda: boot)
    record.run(lambda c: guessing.keep(Transaction(c, record.context)))
    left = 600 - 200 - (down if boot == "boot" else 0)
    record.wait(left - 1)
    assert not would_come_in(record)
    record.wait(1)
    assert would_come_in(record)


def test_p40_servers_of_one_record_count_the_same_time(record: Record) -> None:
    """The second host was booted at a different time; it polls, and uses the highest count."""
    hosts = [0.0]
    first, second = record.context.elapsed, Elapsed(lambda: hosts[0] + 9_000_000.0, lambda: "elsewhere")
    record.run(first.keep)
    record.run(second.keep)
    for seconds in (5, 300, 5):
        record.wait(seconds)
        hosts[0] += seconds
        record.run(first.keep)
        record.run(second.keep)
        assert record.run(first.now) == record.run(second.now) == record.steady[0]


def test_p40_an_address_has_100_tries_for_an_operation(record: Record) -> None:
    record.context.policy = Policy(lock_seconds=1)
    wanted(record)
    for _index in range(10):
        guess(record, 10)
        record.wait(1 << 10)
    record.wait(9 * DAY)
    assert not would_come_in(record)
    assert would_come_in(record, peer=ELSEWHERE)


def test_p40_a_new_string_is_no_new_chance_until_ten_days_later(record: Record) -> None:
    record.context.policy = Policy(lock_seconds=1)
    wanted(record)
    for _index in range(9):
        guess(record, 10)
        record.wait(1 << 9)
    record.plan(items=[{"device_name": PHONE, "authentication_string": "87654321"}])
    record.plan(items=[{"device_name": PHONE, "authentication_string": RIGHT}])
    assert would_come_in(record)
    guess(record, 10)
    record.plan(items=[{"device_name": PHONE, "authentication_string": "87654321"}])
    record.plan(items=[{"device_name": PHONE, "authentication_string": RIGHT}])
    record.wait(DAYS * DAY - 1)
    record.plan(items=[{"device_name": PHONE, "authentication_string": "87654321"}])
    record.plan(items=[{"device_name": PHONE, "authentication_string": RIGHT}])
    assert not would_come_in(record)
    record.wait(1)
    assert would_come_in(record)


def test_p40_an_operation_that_lives_longer_keeps_its_limit(record: Record) -> None:
    record.context.policy = Policy(tries_per_operation=10)
    wanted(record)
    lives(record, 30)
    guess(record, 10)
    record.wait(30 * DAY - 1)
    record.run(lambda c: guessing.keep(Transaction(c, record.context)))
    assert not would_come_in(record)
    record.times[0] -= YEAR
    record.wait(100 * DAY)
    record.run(lambda c: guessing.keep(Transaction(c, record.context)))
    assert not would_come_in(record)


def test_p40_the_right_string_ends_the_count_of_its_phone_and_address(record: Record) -> None:
    wanted(record)
    guess(record, 9)
    guess(record, 9, peer=ELSEWHERE)
    assert isinstance(record.claim(password=RIGHT), Granted)
    assert set(record.guesses(PHONE)) == {ELSEWHERE}
    assert record.guesses()[HERE]["tries"] == 9


def test_p40_an_address_has_200_wrong_strings_a_day_over_all_phones(record: Record) -> None:
    wanted(record, *NAMES)
    for name in NAMES[:39]:
        guess(record, 5, name)
    guess(record, 4, NAMES[39])
    assert would_come_in(record, NAMES[0])
    guess(record, 1, NAMES[39])
    assert not any(would_come_in(record, name) for name in NAMES)
    assert would_come_in(record, NAMES[0], ELSEWHERE)
    record.wait(DAY - 1)
    assert not would_come_in(record, NAMES[0])
    record.wait(61)
    assert would_come_in(record, NAMES[0])


def test_p40_in_no_24_hours_are_there_more_than_200(record: Record) -> None:
    """Not even across midnight."""
    record.context.policy = Policy(lock_seconds=1, tries_per_operation=10000, wrong_strings_per_day=20)
    wanted(record)
    times: list[float] = []
    for _hour in range(3 * 24 * 4):
        while would_come_in(record) and record.steady[0] % DAY > DAY // 2:
            guess(record, 1)
            times.append(record.steady[0])
        record.wait(900)
    assert len(times) > 20
    assert max(sum(begin <= at < begin + DAY for at in times) for begin in times) == 20


def test_p40_right_strings_give_nothing_of_a_day_back(record: Record) -> None:
    record.context.policy = Policy(wrong_strings_per_day=12)
    wanted(record, *NAMES[:4])
    for name in NAMES[:2]:
        guess(record, 6, name)
    assert not would_come_in(record, NAMES[2])
    assert not isinstance(record.claim(NAMES[0], password=RIGHT), Granted)


def test_p40_a_thousand_phones_behind_one_address_come_in_with_right_strings(record: Record) -> None:
    names = [f"SEP00000000{index:04X}" for index in range(1000)]
    record.run(
        lambda c: phones.ensure(
            Transaction(c, record.context, "t"), [{"device_name": n, **MODE} for n in names], "present"
        )
    )
    record.plan(items=[{"device_name": name, "authentication_string": RIGHT} for name in names])

    def all_come(connection: Any) -> list[bool]:
        claims = (Claim(name, 3, 1, HERE, password=RIGHT) for name in names)
        return [isinstance(sessions.claim(Transaction(connection, record.context), claim), Granted) for claim in claims]

    assert all(record.run(all_come))
    assert record.guesses() == {}


def test_p40_only_wrong_strings_are_guesses(record: Record) -> None:
    record.add("SEP0000000000A1")
    record.add("SEP0000000000A2", authentication_mode="By Existing Certificate (precedence to LSC)")
    record.add("SEP0000000000A3", **MODE)
    record.plan("SEP0000000000A1", "SEP0000000000A2")
    for name in ("SEP0000000000A1", "SEP0000000000A2", "SEP0000000000A3", "SEP0000000000A4"):
        record.claim(name, password=WRONG)
    assert record.guesses() == {}


@pytest.mark.parametrize("nothing", [None, ""])
def test_p40_a_phone_that_sends_no_string_guesses_nothing(record: Record, nothing: str | None) -> None:
    """Phones do this when they start, before anybody has entered the string."""
    wanted(record)
    for _index in range(30):
        assert is_refused(record.claim(password=nothing))
    assert record.guesses() == record.guesses(PHONE) == {}
    guess(record, 10)
    assert is_refused(record.claim(password=nothing))


def test_p40_unlocking_lifts_the_locks_for_all_addresses(record: Record) -> None:
    wanted(record)
    peers = [f"192.0.2.{index}" for index in range(1, 6)]
    for peer in peers:
        guess(record, 10, peer=peer)
    found = record.store.read(lambda c: search.find(Transaction(c, record.context), [], Page(), strings=False))[1][0]
    assert found["locked_addresses"] == 5
    assert found["locked_until"] == "2027-01-15T08:10:00+00:00"
    whole = record.store.read(lambda c: next(search.found(Transaction(c, record.context), [], Page(), strings=False)))
    assert (whole["locked_addresses"], whole["locked_until"]) == (5, found["locked_until"])
    assert record.run(lambda c: phones.unlock(Transaction(c, record.context, "test"), [PHONE])) == [PHONE]
    assert all(would_come_in(record, peer=peer) for peer in peers)
    assert record.run(lambda c: phones.unlock(Transaction(c, record.context, "test"), [PHONE])) == []
    found = record.store.read(lambda c: search.find(Transaction(c, record.context), [], Page(), strings=False))[1][0]
    assert (found["locked_addresses"], found["locked_until"]) == (0, None)


def test_p40_the_report_shows_locks(record: Record) -> None:
    wanted(record)
    guess(record, 10)
    text = record.store.read(
        lambda c: "".join(report.csv_pieces(search.found(Transaction(c, record.context), [], Page(), strings=False)))
    )
    (phone,) = spreadsheet.opened(text)
    assert (phone["Locked Addresses"], phone["Locked Until"]) == ("1", "2027-01-15T08:10:00+00:00")


def test_p40_unlocking_gives_an_operation_its_tries_again(record: Record) -> None:
    record.context.policy = Policy(tries_per_operation=10)
    wanted(record)
    guess(record, 10)
    assert record.run(lambda c: phones.unlock(Transaction(c, record.context, "test"), [PHONE])) == [PHONE]
    guess(record, 9)
    assert would_come_in(record)


def test_p40_a_lock_is_shown_by_the_time_of_day_wherever_the_clock_is_set(record: Record) -> None:
    wanted(record)
    guess(record, 10)
    record.times[0] -= 3600
    found = record.store.read(lambda c: search.find(Transaction(c, record.context), [], Page(), strings=False))[1][0]
    assert found["locked_until"] == "2027-01-15T07:10:00+00:00"


def test_p40_the_checklist_names_locked_phones_and_addresses_that_may_not_try(record: Record) -> None:
    record.context.policy = Policy(wrong_strings_per_day=20)
    wanted(record)
    guess(record, 10)
    guess(record, 10, peer=ELSEWHERE)

    def item() -> preflight.ChecklistItem:
        answer = record.store.read(lambda c: preflight.check(Transaction(c, record.context), preflight.Question()))
        return next(item for item in answer.items if item.name == "Authentication strings")

    assert item().message == (f"locked after wrong strings for 2 addresses, until 2027-01-15T08:10:00+00:00: {PHONE}")
    record.add(NAMES[0], **MODE)
    record.plan(items=[{"device_name": NAMES[0], "authentication_string": RIGHT}])
    guess(record, 10, NAMES[0])
    record.wait(3600)
    assert item().message == f"addresses that have reached their daily limit of wrong strings: {HERE}"


def test_p40_what_is_kept_is_bounded_and_a_flood_frees_nobody(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guessing, "MOST_ROWS", 100)
    monkeypatch.setattr(guessing, "_LOOK_AGAIN", 10)
    wanted(record, PHONE, NAMES[0])
    guess(record, 10)
    guess(record, 9, peer=ELSEWHERE)
    flood = [Claim(NAMES[0], 3, 1, f"2001:db8:0:{index:x}::1", password=WRONG) for index in range(400)]
    for claim in flood:
        record.run(claiming(record.context, claim))
    rows = record.store.read(lambda c: c.execute(select(func.count()).select_from(schema.guesses)).scalar_one())
    assert rows <= 110
    assert record.guesses(PHONE)[HERE]["tries"] == 10
    assert record.guesses(PHONE)[ELSEWHERE]["tries"] == 9
    assert not would_come_in(record)


def test_p40_what_no_longer_counts_is_deleted(record: Record) -> None:
    wanted(record)
    guess(record, 10)
    record.wait(DAY + 61)
    record.run(lambda c: guessing.keep(Transaction(c, record.context)))
    assert record.guesses() == {} and set(record.guesses(PHONE)) == {HERE}
    record.wait(DAYS * DAY)
    record.run(lambda c: guessing.keep(Transaction(c, record.context)))
    assert set(record.guesses(PHONE)) == {HERE}
    record.run(lambda c: c.execute(schema.operations.update().values(authentication_string=None)))
    record.run(lambda c: guessing.keep(Transaction(c, record.context)))
    assert record.guesses(PHONE) == {}


def test_p40_a_lock_and_a_used_up_day_are_each_reported_once(record: Record) -> None:
    record.context.policy = Policy(wrong_strings_per_day=15)
    wanted(record, PHONE, NAMES[0])
    guess(record, 14)
    guess(record, 30, NAMES[0])
    for _index in range(40):
        record.wait(3000)
        guess(record, 3, NAMES[0])
    found = record.run(lambda c: events.after(Transaction(c, record.context), events.Cursor(), 30))[0]
    reported = [(event["device_name"], event["detail"]) for event in found if event["kind"] == "guessing"]
    first, second, *later = [(name, detail["address"], detail["tries"]) for name, detail in reported]
    assert (first, second) == ((PHONE, HERE, 10), ("", HERE, 15))
    assert len(later) <= 3
    totals = record.store.read(guessing.totals)
    acts = record.acts()
    assert (totals.locks, totals.exhaustions) == (acts.count("lock phone"), acts.count("exhaust address"))
    assert totals.exhaustions == 2


def test_p40_short_strings_are_warned_of_once(record: Record) -> None:
    for name in NAMES[:5]:
        record.add(name, **MODE)
    items = [
        {"device_name": name, "authentication_string": string}
        for name, string in zip(NAMES, ("1234", "12345", "123456", "9876543210"), strict=False)
    ]
    (warning,) = record.plan(items=[*items, {"device_name": NAMES[4]}]).warnings
    assert warning.startswith("authentication strings of 4 or 5 digits are easy to guess; this list has 2, ")
    assert record.plan(items=items).warnings == [warning]
    assert record.plan(items=items[2:]).warnings == []


def test_p40_two_servers_on_postgresql_give_no_retries(pair: tuple[Record, Record]) -> None:
    """Many sessions on both servers of one record, from two addresses and for all phones, in different orders."""
    first, names, peers = pair[0], NAMES[:8], (HERE, ELSEWHERE)
    for server in pair:
        server.context.policy = Policy(wrong_strings_per_day=60)
    wanted(first, *names)
    order = [(name, peer) for name in names for peer in peers]
    tries = [
        server.store.submit(claiming(server.context, Claim(name, 3, 1, peer, WRONG)))
        for _index in range(30)
        for both in zip(order, reversed(order), strict=True)
        for server, (name, peer) in zip(pair, both, strict=True)
    ]
    assert all(is_refused(future.result()) for future in tries)
    assert all(60 <= first.guesses()[peer]["tries"] <= 61 for peer in peers)
    assert first.acts().count("exhaust address") == 2
    assert not any(would_come_in(server, names[0]) for server in pair)
    assert all(rows["tries"] <= 11 for name in names for rows in first.guesses(name).values())


def test_p40_ten_days_at_one_phone_are_worth_one_percent(quick: Record) -> None:
    prepare(quick, [PHONE])
    attack = Attack(quick, [PHONE])
    attack.run(DAYS * DAY)
    assert attack.total == 100
    assert attack.total / FOUR_DIGITS <= 0.01


def test_p40_ten_days_at_all_phones_are_worth_a_fifth_of_one(quick: Record) -> None:
    prepare(quick, NAMES)
    attack = Attack(quick, NAMES)
    attack.run(DAYS * DAY)
    assert attack.total == 2000
    assert attack.total / FOUR_DIGITS <= 0.2
    assert attack.total / GENERATED <= 0.0001


def test_p40_any_ten_days_are_worth_no_more(quick: Record) -> None:
    """Not even operations that begin during an attack."""
    prepare(quick, NAMES)
    Attack(quick, NAMES).run(DAYS * DAY // 2 + 12345)
    attack = Attack(quick, NAMES)
    attack.run(DAYS * DAY)
    assert attack.total <= 2000
    assert max(attack.tries.values()) <= 100
