# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authentication strings survive a spreadsheet, and are written only where necessary (P39)."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest

from capf.certificates.secretbox import generate_string
from capf.model import ConflictError, InvalidRequestError
from capf.registry import phone_import, phones, report, search, strings
from capf.registry.rollout import waves
from capf.registry.search import Criterion, Page
from capf.registry.transaction import Transaction
from capf.store.schema import OperationRow
from support import spreadsheet
from support.record import PHONE, Record
from support.rollouts import NAMES, NIGHT, begin, problems, run_of, start, verdict

STRING = "By Authentication String"
_GENERATED, _FIRST_DIGITS = 20_000, "123456789"
NUMBERS = ["12345678.0", "12345678,0", "1.23457E+11", "1,23457E+11", "12,345,678", "12.345.678", "12 345 678"]


def by_string(record: Record, *names: str, **settings: Any) -> None:
    """Register phones that authenticate by string."""
    wanted = [{"device_name": name, "authentication_mode": STRING, **settings} for name in names]
    record.run(lambda c: phones.ensure(Transaction(c, record.context, "admin"), wanted, "present"))


def give(record: Record, name: str, string: str) -> None:
    """Schedule a phone with a string."""
    record.plan(items=[{"device_name": name, "authentication_string": string}])


def pending(record: Record, name: str = PHONE) -> str | None:
    """Return the string of a phone's pending operation."""
    return strings.of(record.context, OperationRow(**record.operation(name)))


def refused(record: Record, string: str) -> str:
    """Return why a string for the phone is refused, after checking that the pending one is kept."""
    before = pending(record)
    with pytest.raises(InvalidRequestError) as error:
        give(record, PHONE, string)
    assert pending(record) == before
    (problem,) = error.value.problems
    assert (problem.field, problem.value) == ("phones[0].authentication_string", "(hidden)")
    return problem.message


def strings_file(record: Record, number: int, *criteria: Criterion) -> str:
    """Return the strings file of a wave of the rollout."""
    wanted = [Criterion("authentication_string", "is not empty"), *criteria]

    def job(connection: Any) -> str:
        wave = waves.find(connection, NIGHT, number, None)
        found = search.found(Transaction(connection, record.context), wanted, Page(), strings=True, wave=wave)
        return "".join(report.csv_pieces(found))

    return record.store.read(job)


def given_in(text: str) -> dict[str, str]:
    """Return the strings of a strings file by device name."""
    return {row["Device Name"]: row["Authentication String"] for row in spreadsheet.opened(text)}


def test_p39_generated_strings_never_begin_with_0_and_are_uniform() -> None:
    made = [generate_string() for _unused in range(_GENERATED)]
    assert all(re.fullmatch("[1-9][0-9]{7}", string) for string in made)
    first = Counter(string[0] for string in made)
    rest = Counter(digit for string in made for digit in string[1:])
    assert set(first) == set(_FIRST_DIGITS) and set(rest) == set("0123456789")
    for counts, kinds in ((first, 9), (rest, 10)):
        expected = counts.total() / kinds
        assert all(abs(number - expected) < 6 * expected**0.5 for number in counts.values()), counts


@pytest.mark.parametrize("string", ["0000", "9999", "00123456", "0123456789"])
def test_p39_a_string_of_4_to_10_digits_is_taken_as_it_is(record: Record, string: str) -> None:
    by_string(record, PHONE)
    give(record, PHONE, string)
    assert pending(record) == string
    give(record, PHONE, "4711")
    assert pending(record) == "4711"


@pytest.mark.parametrize(
    ("whole", "shrunk"), [("00123456", "123456"), ("0123456789", "123456789"), ("00000012", "12"), ("0000", "0")]
)
def test_p39_a_string_that_lost_its_zeros_is_refused_by_name(record: Record, whole: str, shrunk: str) -> None:
    by_string(record, PHONE)
    give(record, PHONE, whole)
    said = refused(record, shrunk)
    assert said == strings.HAS_SHRUNK and whole not in said and "cancel the pending operation" in said


@pytest.mark.parametrize("string", NUMBERS)
def test_p39_a_number_as_a_spreadsheet_writes_it_is_refused_with_what_to_do(record: Record, string: str) -> None:
    by_string(record, PHONE)
    give(record, PHONE, "12345678")
    assert refused(record, string) == strings.IS_A_NUMBER


@pytest.mark.parametrize("string", ["", "123", "12345678901", "12ab"])
def test_p39_other_strings_that_no_phone_takes_are_refused(record: Record, string: str) -> None:
    by_string(record, PHONE)
    give(record, PHONE, "12345678")
    assert refused(record, string) == strings.WRONG_FORM


def test_p39_a_rollouts_list_whose_strings_have_shrunk_is_refused(ready: Record) -> None:
    by_string(ready, *NAMES[:3])
    give(ready, NAMES[1], "00123456")
    reported = problems(ready, strings={NAMES[0]: "123456", NAMES[1]: "123456"})
    assert strings.HAS_SHRUNK in reported and "phones[1].authentication_string" in reported
    assert "phones[0]" not in reported and "123456" not in reported
    assert pending(ready, NAMES[1]) == "00123456"


def test_p39_a_wave_never_schedules_what_is_left_of_a_string(ready: Record) -> None:
    by_string(ready, NAMES[0])
    give(ready, NAMES[0], "00123456")
    begin(ready, NAMES[0])
    given = {NAMES[0]: "123456"}
    run = run_of(ready)
    wave = ready.run(lambda c: waves.start(Transaction(c, ready.context, "admin"), run, given))["wave"]
    assert wave["phones"] == [] and pending(ready, NAMES[0]) == "00123456"


def test_p39_a_list_of_phones_is_refused_at_once_for_its_strings(ready: Record) -> None:
    """The check of the doors for phones, rollouts and imports."""
    by_string(ready, NAMES[1])
    give(ready, NAMES[1], "00123456")
    listed = [{"device_name": PHONE, strings.FIELD: "123"}, {"device_name": NAMES[0]},
              {"device_name": NAMES[1], strings.FIELD: "123456"}]  # fmt: skip
    found = ready.run(lambda c: strings.problems(Transaction(c, ready.context), listed))
    assert [(problem.field, problem.message) for problem in found] == [
        ("phones[0].authentication_string", strings.WRONG_FORM),
        ("phones[2].authentication_string", strings.HAS_SHRUNK),
    ]


def test_p39_an_import_is_refused_for_strings_that_it_would_not_use(ready: Record) -> None:
    by_string(ready, NAMES[1])
    give(ready, NAMES[1], "00123456")
    items = [{"device_name": PHONE, strings.FIELD: "1.2E+9"}, {"device_name": NAMES[1], strings.FIELD: "123456"}]
    reading = phone_import.read(ready.context, list(map(phone_import.EarlierPhone.of, items)))
    with pytest.raises(InvalidRequestError) as error:
        ready.run(lambda c: phone_import.carry_out(Transaction(c, ready.context, "admin"), reading, strict=True))
    assert [problem.message for problem in error.value.problems] == [strings.IS_A_NUMBER, strings.HAS_SHRUNK]


def test_p39_the_strings_file_of_a_wave_holds_that_waves_phones_alone(ready: Record) -> None:
    by_string(ready, *NAMES)
    ready.plan(*NAMES[8:])  # not in a rollout
    begin(ready, *NAMES[:8], wave_size="4", spread_by="none", failure_limit="100%")
    assert start(ready)["wave"]["by_string"] == NAMES[:4]
    assert given_in(strings_file(ready, 1)) == {name: pending(ready, name) for name in NAMES[:4]}
    berlin = Criterion("device_pool", "is exactly", "Berlin")
    assert list(given_in(strings_file(ready, 1, berlin))) == [NAMES[0], NAMES[3]]
    with pytest.raises(ConflictError, match="wave 2 of the rollout 'night' has not been started"):
        strings_file(ready, 2)
    ready.plan(items=[{"device_name": NAMES[0], "authentication_string": "4711"}])  # no longer in the rollout
    assert list(given_in(strings_file(ready, 1))) == NAMES[1:4]
    verdict(ready, 1)
    assert start(ready)["wave"]["by_string"] == NAMES[4:8]
    assert list(given_in(strings_file(ready, 2))) == NAMES[4:8]


def test_p39_strings_survive_the_way_through_a_spreadsheet(ready: Record) -> None:
    by_string(ready, *NAMES)
    begin(ready, wave_size="12", spread_by="none")
    start(ready)
    back = given_in(spreadsheet.saved(strings_file(ready, 1)))
    assert back == given_in(strings_file(ready, 1))
    listed = [{"device_name": name, strings.FIELD: string} for name, string in back.items()]
    assert ready.plan(items=listed).pending == NAMES


def test_p39_given_strings_survive_a_spreadsheet_in_our_own_files(ready: Record) -> None:
    by_string(ready, *NAMES)
    begin(ready, wave_size="12", spread_by="none")
    given = {name: f"{index * 7:04}" for index, name in enumerate(NAMES)}
    run = run_of(ready)
    ready.run(lambda c: waves.start(Transaction(c, ready.context, "admin"), run, given))
    back = given_in(spreadsheet.saved(strings_file(ready, 1)))
    assert back == given
    listed = [{"device_name": name, strings.FIELD: string} for name, string in back.items()]
    assert ready.plan(items=listed).pending == NAMES
    assert {name: pending(ready, name) for name in NAMES} == given
