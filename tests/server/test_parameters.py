# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Service and enterprise parameters (R25, R11)."""

from __future__ import annotations

import pytest

from capf.model import InvalidRequestError
from capf.registry import parameters
from support.record import Record


@pytest.mark.parametrize("kind", ["service", "enterprise"])
def test_r25_every_parameter_has_help_default_and_range(kind: parameters.Kind, record: Record) -> None:
    shown = parameters.show(kind, record.store.read(parameters.stored), None)
    assert len(shown) >= 5
    for item in shown:
        assert item["help"].endswith(".")
        assert item["value"] == item["default"]
        assert isinstance(item["default"], bool) or item["choices"] or item["maximum"]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("Key Size", 1000, "512, 1024, 2048, 3072, 4096"),
        ("Key Size", "big", "512, 1024, 2048, 3072, 4096"),
        ("Key Size", 2048.5, "512, 1024, 2048, 3072, 4096"),
        ("Key Size", [2048], "512, 1024, 2048, 3072, 4096"),
        ("Key Size", None, "512, 1024, 2048, 3072, 4096"),
        ("Duration Of Certificate Validity", float("inf"), "a whole number from 1 to 20"),
        ("Duration Of Certificate Validity", 0, "a whole number from 1 to 20"),
        ("Duration Of Certificate Validity", 21, "a whole number from 1 to 20"),
        ("Duration Of Certificate Validity", True, "a whole number from 1 to 20"),
        ("Maximum Allowable Attempts For Key Generation", -1, "a whole number from 0 to 100"),
        ("Certificate Issuer to Endpoint", "Me", "Cisco Certificate Authority Proxy Function"),
    ],
)
def test_r25_a_value_out_of_range_is_named(record: Record, name: str, value: object, allowed: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        record.set_parameters("service", {name: value})
    assert str(refused.value).startswith(f"parameters.{name}: {str(value)!r} is refused; allowed: {allowed}")


def test_r25_an_unknown_parameter_is_named_with_those_that_there_are(record: Record) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        record.set_parameters("service", {"No Such Parameter": 1})
    said = "parameters.No Such Parameter: unknown parameter 'No Such Parameter'; the parameters are Certificate"
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("name", ["Key Size", "Duration Of Certificate Validity", "Certificate Issuer to Endpoint"])
def test_r25_a_value_of_thousands_of_digits_is_refused_and_reported_in_short(record: Record, name: str) -> None:
    for value in ("9" * 5000, 10**4000, 1e300):
        with pytest.raises(InvalidRequestError) as refused:
            record.set_parameters("service", {name: value})
        assert len(refused.value.problems[0].value) <= 100


def test_r25_a_whole_number_may_come_with_a_point() -> None:
    assert parameters.check("service", {"Key Size": 3072.0}) == {"Key Size": 3072}


def test_r25_a_change_is_reported_before_and_after(record: Record) -> None:
    change = {"Key Size": "3072", "Duration Of Certificate Validity": 5}
    assert record.set_parameters("service", change) == ({"Key Size": 2048}, {"Key Size": 3072})
    assert record.set_parameters("service", change) == ({}, {})


def test_r11_enable_ipv6_is_false_by_default(record: Record) -> None:
    assert record.store.read(parameters.stored).flag("Enable IPv6") is False


def test_r25_the_backup_key_is_asked_for_whatever_the_number_of_further_attempts(record: Record) -> None:
    record.add(key_order="EC Preferred, RSA Backup")
    record.set_parameters("service", {"Maximum Allowable Attempts For Key Generation": 0})
    record.plan()
    granted = record.grant()
    assert (granted.attempts, [key.ec for key in granted.keys]) == (2, [True, False])
