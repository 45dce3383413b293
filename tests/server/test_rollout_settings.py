# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout's settings are parsed once, recorded in parsed form, and shown as people write them (R16, R27)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, select, text

from capf.model import DamagedError, InvalidRequestError
from capf.registry.rollout.amounts import Amount
from capf.registry.rollout.settings import as_record, described, from_record, read, show
from capf.store import schema
from capf.store.engine import Store
from capf.store.migrate import upgrade

AMOUNTS = st.one_of(st.integers(1, 999_999).map(str), st.integers(1, 100).map("{}%".format))
WRITTEN = st.fixed_dictionaries(
    {},
    optional={
        "wave_size": st.one_of(AMOUNTS, st.just("auto")),
        "pilot_size": AMOUNTS,
        "failure_limit": AMOUNTS,
        "open_sessions": st.integers(1, 100_000),
        "force": st.booleans(),
        "spread_by": st.sampled_from(["device_pool", "none"]),
        "window_start": st.sampled_from(["", "2030-01-31T22:00:00+00:00"]),
    },
)


@given(WRITTEN)
def test_settings_come_back_from_the_record_as_they_were_read(written: dict[str, object]) -> None:
    settings = read(written)
    assert from_record(json.loads(json.dumps(as_record(settings)))) == settings
    assert read(show(settings)) == settings
    assert {name: show(settings)[name] for name in written.keys() - {"window_start"}} == {
        name: value for name, value in written.items() if name != "window_start"
    }


def test_settings_are_read_into_amounts_and_moments() -> None:
    settings = read({"failure_limit": "7%", "wave_size": "auto", "window_end": "2030-01-31T06:00:00+00:00"})
    assert (settings.failure_limit, settings.wave_size) == (Amount(7, share=True), None)
    assert (settings.window_end, settings.window_start) == (1896069600, None)
    assert settings.pilot_size == Amount(0, share=False)


def test_every_setting_that_cannot_be_read_is_named() -> None:
    wrong = {"wave_size": "0", "failure_limit": "101%", "spread_by": "floor", "window_end": "tomorrow"}
    with pytest.raises(InvalidRequestError) as caught:
        read(wrong)
    assert [problem.field for problem in caught.value.problems] == list(wrong)


def test_every_setting_says_what_it_is() -> None:
    for name, setting in described().items():
        assert setting.title and all(sentence.endswith(".") for sentence in setting.help), name


@pytest.mark.parametrize("kept", [{"x": 1}, {"wave_size": "50"}, {"failure_limit": {"number": 1}}])
def test_settings_that_are_none_are_reported_as_damaged(kept: dict[str, object]) -> None:
    with pytest.raises(DamagedError, match="settings of a rollout cannot be read"):
        from_record(kept)


def test_a_rollout_of_an_earlier_server_keeps_its_settings(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'capf.db'}"
    written = {"wave_size": "5%", "pilot_size": "2", "window_end": "2030-01-31T06:00:00+00:00", "spread_by": "none"}
    add = text(
        "INSERT INTO rollouts (name, settings, state, skipped, runner, seen_at, created_at)"
        " VALUES (:name, :settings, 'running', '{}', 'r', 0, 0)"
    )
    with create_engine(url).connect() as connection:
        upgrade(connection, "0007")
        for name, kept in (("night", json.dumps(written | {"renew_before_days": 9})), ("lost", "no JSON")):
            connection.execute(add, {"name": name, "settings": kept})
        connection.commit()
    store = Store(url)
    try:
        kept, lost = store.read(lambda c: c.execute(select(schema.rollouts.c.settings)).scalars().all())
    finally:
        store.close()
    assert from_record(json.loads(kept)) == read(written | {"renew_before": 9})
    assert lost == "no JSON"
