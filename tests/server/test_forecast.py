# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record predicts before the maintenance window which phones can only fail, and their sessions agree (P54)."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from capf.certificates.authority import Authority, make_capf_certificate
from capf.model import InvalidRequestError, KeySpec, Operation, Outcome
from capf.phone_session.dialogue import NO_KEY
from capf.phone_session.effects import Claim, Granted, Refused
from capf.phone_session.verify import Trust, lsc_problem
from capf.phone_session.wire import Reason, Tag, unpack_certificates, unpack_sha2
from capf.registry import ctl_file, forecast, phone_import, phones, preflight, schedule, sessions, tokens
from capf.registry.context import Policy
from capf.registry.rollout import advice
from capf.registry.transaction import Transaction
from capf_lab.credentials import MODE_LSC_FIRST, MODE_MIC_FIRST, auth_response
from capf_lab.flash import Flash, Identity
from support.identity import Manufacturer, hold, new_ec_key, public_der
from support.record import BY_STRING, PHONE, Record

LSC_FIRST = "By Existing Certificate (precedence to LSC)"
MIC_FIRST = "By Existing Certificate (precedence to MIC)"
NULL = "By Null String"
WIRE = {LSC_FIRST: MODE_LSC_FIRST, MIC_FIRST: MODE_MIC_FIRST}
EC: dict[str, Any] = {"key_order": "EC Only", "ec_key_size": 256}
YEAR = 366 * 86400
OTHER = "SEP0000000000FF"


@dataclass
class World:
    """A record and its phones, with the recorded certificates."""

    record: Record
    maker: Manufacturer
    signer: tuple[Any, Any]
    earlier: Authority
    directory: Path
    begin: float

    def trust(self, *, earlier: bool = True, mics: bool = True, sudi: bool = False, years: int = 0) -> None:
        """Change the trusted issuers and the time."""
        self.record.context.authority = Authority(
            *self.signer,
            os.urandom,
            earlier=[self.earlier.certificate] if earlier else [],
            manufacturing=[self.maker.maker.certificate] if mics else [],
        )
        self.record.context.policy = Policy(require_sudi=sudi)
        self.record.times[0] = self.begin + years * YEAR

    def phone(self, name: str, lsc: str, mic: bool) -> Flash:
        """Register a phone, and copy its recorded certificates to its flash."""
        flash = Flash(self.directory / name)
        self.record.add(name, mic=mic, **EC)
        if mic:
            flash.make_mic(self.maker.sign(f"CP-8845-{name}", days=(-1, 36500)))
        if lsc == "imported":
            key = new_ec_key()
            signed = self.earlier.sign(name, public_der(key), [KeySpec(ec=True, bits=256)], 5, self.begin)
            certificate = x509.load_der_x509_certificate(signed.der)
            flash.store_lsc(Identity(certificate, key))
            item = {"device_name": name, "certificate": pem(certificate)}
            reading = phone_import.read(self.record.context, [phone_import.EarlierPhone.of(item)])
            self.record.run(lambda c: phone_import.carry_out(self.tx(c), reading))
        if lsc == "ours":
            self.record.plan(name)
            self.store(name, flash)
        return flash

    def tx(self, connection: Any) -> Transaction:
        """Return an administrator's transaction."""
        return Transaction(connection, self.record.context, "test")

    def store(self, name: str, flash: Flash, **credentials: Any) -> None:
        """Run the installation of a phone."""
        granted, key = self.record.grant(name, **(credentials or {"password": ""})), new_ec_key()
        der = self.record.issue(granted.hold, public_der(key))
        assert der is not None
        hold(flash, der, key)
        self.record.confirm(granted.hold)

    def dry(self, job: Any) -> Any:
        """Run a job and roll it back."""
        return asyncio.run(self.record.store.adry_run(job))

    def planned(self, request: schedule.OperationRequest) -> schedule.Scheduled:
        """Return the plan of a request, including refused phones, without changing anything."""
        plan: schedule.Scheduled = self.dry(lambda c: schedule.schedule_others(self.tx(c), request))
        return plan

    def scheduled(self, request: schedule.OperationRequest) -> set[str]:
        """Schedule the allowed phones of a request, and return them."""
        plan = self.record.run(lambda c: schedule.schedule_others(self.tx(c), request))
        return set(plan.scheduled)

    def session(self, name: str, flash: Flash, mode: str) -> Granted | Refused:
        """Return how the phone's session would begin, without changing anything."""
        given = credentials(name, flash, mode)
        decision: Granted | Refused = self.dry(
            lambda c: sessions.claim(Transaction(c, self.record.context), Claim(name, 3, 1, "192.0.2.1", **given))
        )
        return decision


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate in PEM."""
    return certificate.public_bytes(Encoding.PEM).decode()


def credentials(name: str, flash: Flash, mode: str) -> dict[str, Any]:
    """Return the proof of a phone with this flash; nothing in the modes without certificates."""
    if mode not in WIRE or not (flash.lsc or flash.mic):
        return {"password": ""}
    elements = auth_response(name, 1, flash, WIRE[mode], "", 3).elements
    return {
        "certificates": unpack_certificates(elements[Tag.CERTIFICATE]),
        "signed_data": elements[Tag.SIGNED_DATA],
        "sha2_signed_data": unpack_sha2(elements[Tag.SHA2_SIGNED_DATA]),
    }


@pytest.fixture
def world(quick: Record, tmp_path: Path, signer: tuple[Any, Any]) -> Iterator[World]:
    """A record whose phones have certificates of all kinds."""
    begin = time.time()
    earlier = Authority(*make_capf_certificate(os.urandom, begin, "Earlier", "CAPF"), os.urandom)
    made = World(quick, Manufacturer(tmp_path), signer, earlier, tmp_path / "phones", begin)
    made.trust()
    yield made


def test_p54_planner_and_session_agree_whatever_is_on_record(world: World) -> None:
    """Every kind of LSC, MIC, mode and operation, with every trust, before and after the expiry of the LSCs."""
    kinds = list(itertools.product(("none", "ours", "imported"), (False, True)))
    flashes = {f"SEP{index:012X}": world.phone(f"SEP{index:012X}", *kind) for index, kind in enumerate(kinds)}
    record = {f"SEP{index:012X}": kind for index, kind in enumerate(kinds)}
    seen = set()
    for mode, operation in itertools.product(
        (LSC_FIRST, MIC_FIRST, NULL), (Operation.INSTALL, Operation.DELETE, Operation.TROUBLESHOOT)
    ):
        world.trust()
        request = schedule.OperationRequest(
            operation,
            [schedule.RequestedPhone(name) for name in flashes],
            defaults={"authentication_mode": mode},
            force=True,
        )
        scheduled = world.scheduled(request)
        for earlier, mics, years in itertools.product((True, False), (True, False), (0, 6)):
            world.trust(earlier=earlier, mics=mics, years=years)
            world.record.run(lambda c: extend(c, world.record.times[0]))
            plan, careful = world.planned(request), world.planned(replace(request, cautious=True))
            warned = {name for names in plan.doubts.values() for name in names}
            left_out = {name for reason, names in careful.skipped.items() if "not tried" in reason for name in names}
            doubts = known(world, request)
            for name in scheduled:
                decision = world.session(name, flashes[name], mode)
                where = (record[name], mode, operation.value, earlier, mics, years)
                assert (name in left_out) is (name in plan.refused or name in warned), where
                if name in plan.refused:
                    assert isinstance(decision, Refused) and decision.outcome is doubts[name].outcome, where
                    assert decision.problem, where
                may_have_another = earlier and record[name] in (("none", False), ("none", mode == LSC_FIRST))
                if isinstance(decision, Refused) and not may_have_another:
                    assert name in left_out, (where, decision.problem)
                seen.add((name in plan.refused, name in warned, isinstance(decision, Refused)))
    assert {(True, False, True), (False, True, True), (False, False, False)} <= seen


def extend(connection: Any, now: float) -> None:
    """Give every operation time."""
    connection.exec_driver_sql(f"UPDATE operations SET completes_by = {int(now) + 86400}")


def known(world: World, request: schedule.OperationRequest) -> dict[str, forecast.Doubt]:
    """Return the forecast for the phones of a request."""

    def job(connection: Any) -> dict[str, forecast.Doubt]:
        tx = world.tx(connection)
        found = schedule._phones(tx, request, schedule.Scheduled(0))
        return forecast.judge(tx, [(phone.known, phone.wanted(request.operation)) for phone in found])

    return world.record.store.read(job)


def problems(record: Record, **request: Any) -> list[str]:
    """Return the problems of a refused request."""
    with pytest.raises(InvalidRequestError) as refused:
        record.plan(**request)
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize(("mic", "todo"), [(True, f"use {MIC_FIRST}"), (False, f"use {NULL} or {BY_STRING}")])
def test_p54_an_expired_lsc_is_named_with_its_date_and_what_to_do(world: World, mic: bool, todo: str) -> None:
    world.phone(PHONE, "ours", mic)
    world.trust(years=6)
    (problem,) = problems(world.record, defaults={"authentication_mode": LSC_FIRST})
    row = time.gmtime(world.begin + 5 * 365.25 * 86400 - 3600)
    expired = f"has an LSC that expired on {time.strftime('%Y-%m-%d', row)}"
    assert problem == f"phones[0].authentication_mode: {PHONE} {expired}; {todo}"
    plan = world.record.plan(defaults={"authentication_mode": MIC_FIRST if mic else NULL})
    assert (plan.scheduled, plan.warnings) == ([PHONE], [])


def test_p54_the_session_says_what_the_forecast_says(world: World) -> None:
    flash = world.phone(PHONE, "ours", True)
    given: dict[str, Any] = {"completes_by": "2040-01-01T00:00", "force": True}
    world.record.plan(defaults={"authentication_mode": LSC_FIRST}, **given)
    world.trust(years=6)
    refused = world.record.claim(**credentials(PHONE, flash, MIC_FIRST))
    assert refused == Refused(Reason.REJECTED, Outcome.INVALID_LSC)
    assert isinstance(refused, Refused) and refused.problem.startswith("the phone has an LSC that expired on ")


def test_p54_a_phone_that_may_hold_a_newer_lsc_is_let_in_with_it(world: World) -> None:
    flash = world.phone(PHONE, "ours", False)
    world.trust(years=4)
    world.record.plan(defaults={"authentication_mode": LSC_FIRST}, force=True, completes_by="2040-01-01T00:00")
    granted, key = world.record.grant(**credentials(PHONE, flash, LSC_FIRST)), new_ec_key()
    der = world.record.issue(granted.hold, public_der(key))
    assert der is not None
    hold(flash, der, key)
    world.record.lose(granted.hold)
    world.trust(years=6)
    plan = world.record.plan(defaults={"authentication_mode": LSC_FIRST}, force=True, completes_by="2040-01-01T00:00")
    assert plan.pending == [PHONE] and "1 phone will probably fail" in plan.warnings[0]
    assert isinstance(world.record.claim(**credentials(PHONE, flash, LSC_FIRST)), Granted)


def test_p54_no_certificate_in_a_certificate_mode_is_warned_of_and_never_in_a_wave(world: World) -> None:
    world.trust(earlier=False)
    world.phone(PHONE, "none", False)
    given: dict[str, Any] = {"defaults": {"authentication_mode": MIC_FIRST}}
    plan = world.record.plan(**given)
    (warning,) = plan.warnings
    assert warning.startswith(f"1 phone will probably fail: the first, {PHONE}, has neither an LSC nor a MIC on record")
    careful = world.record.plan(**given, cautious=True)
    ((reason, names),) = careful.skipped.items()
    assert (names, careful.scheduled) == ([PHONE], [])
    assert reason.startswith("not tried: it has neither an LSC nor a MIC on record; register its MIC if it has one")


def test_p54_an_lsc_that_another_capf_issued_may_be_unknown_here(world: World) -> None:
    world.phone(PHONE, "none", False)
    assert world.record.plan(defaults={"authentication_mode": LSC_FIRST}).warnings == []


def test_p54_without_a_manufacturing_ca_no_mic_authenticates(world: World) -> None:
    world.phone(PHONE, "ours", True)
    world.trust(mics=False)
    (problem,) = problems(world.record, defaults={"authentication_mode": MIC_FIRST}, force=True)
    assert "authenticates by its MIC, and no manufacturing CA is trusted; trust the issuer of its MIC" in problem
    world.trust(mics=False, sudi=True)
    (problem,) = problems(world.record, defaults={"authentication_mode": LSC_FIRST}, force=True)
    assert "needs SUDI data with its MIC, and no manufacturing CA is trusted" in problem


def test_p54_an_ec_key_alone_needs_a_phone_and_a_ctl_file_that_can(world: World) -> None:
    jabber = "CSFjohn.doe"
    world.record.add(jabber, **EC)
    world.record.add(**EC)
    (softphone,) = world.record.plan(jabber, PHONE).warnings
    assert f"the first, {jabber}, is a softphone, which has no EC keys; use the Key Order RSA Only" in softphone
    world.record.run(lambda c: make_ctl_file(world.tx(c)))
    (old,) = world.record.plan(PHONE).warnings
    assert "takes no EC key with the CTL file, which has signer version 1.0; make the CTL file again" in old
    assert world.record.plan(PHONE, defaults={"key_order": "EC Preferred, RSA Backup"}).warnings == []


def make_ctl_file(tx: Transaction) -> None:
    """Create a CTL file without EC keys."""
    tokens.make_missing(tx)
    ctl_file.make_current(tx, ctl_file.Options(signer_version="1.0"), [])


def test_p54_a_phone_that_had_no_ec_keys_is_not_asked_again_unnoticed(world: World) -> None:
    world.record.add(authentication_mode=BY_STRING, **EC)
    world.record.plan(items=[{"device_name": PHONE, "authentication_string": "471147"}])
    world.record.claim(version=2, password="471147")
    assert world.record.operation()["status"] == "Upgrade Failed: No Support for EC only in CAPF version 3"
    assert "had no support for EC keys in its last operation" in world.record.plan(force=True).warnings[0]


def test_p54_a_sha1_lsc_is_not_accepted(world: World) -> None:
    identity = world.maker.sha1_mic(PHONE)
    trust = Trust([world.maker.maker.certificate], [])
    assert lsc_problem(identity.certificate, trust, time.time()) == "the LSC is signed with SHA-1"


def test_p54_phones_that_become_secure_without_a_certificate_are_warned_of(world: World) -> None:
    wanted = [{"device_name": name, "device_security_mode": "Encrypted"} for name in (PHONE, OTHER)]
    changes = world.record.run(lambda c: phones.ensure(world.tx(c), wanted, "present"))
    (warning,) = changes.warnings
    assert warning.startswith(f"2 phones, the first of them {PHONE}, cannot register in a secure mode without an")
    again = world.record.run(lambda c: phones.ensure(world.tx(c), wanted, "present"))
    assert again.warnings == []


def test_p54_the_checklist_names_who_would_fail(world: World) -> None:
    world.phone(PHONE, "ours", True)
    world.phone(OTHER, "none", False)
    world.record.add("SEP0000000000AA", **EC)
    world.trust(earlier=False, years=6)
    modes = {PHONE: LSC_FIRST, OTHER: MIC_FIRST, "SEP0000000000AA": NULL}
    for name, mode in modes.items():
        world.record.add(name, authentication_mode=mode)
    item = checked(world, "Phones that would fail")
    assert item.result is preflight.ChecklistResult.WARNING
    assert item.message == f"{OTHER}: has neither an LSC nor a MIC on record; {PHONE}: has an LSC that has expired"
    assert item.todo == f"register its MIC if it has one, or use {NULL} or {BY_STRING}; use {MIC_FIRST}"
    world.record.add(PHONE, authentication_mode=MIC_FIRST)
    world.record.add(OTHER, authentication_mode=NULL)
    assert checked(world, "Phones that would fail").result is preflight.ChecklistResult.OK


def checked(world: World, name: str) -> preflight.ChecklistItem:
    """Return an item of the checklist of all phones."""
    answer = world.record.store.read(lambda c: preflight.check(world.tx(c), preflight.Question()))
    (found,) = [item for item in answer.items if item.name == name]
    return found


def test_p54_an_import_names_phones_that_would_fail_by_their_settings(world: World) -> None:
    world.trust(earlier=False)
    given = [
        {"device_name": PHONE, "authentication_mode": MIC_FIRST},
        {"device_name": OTHER, "device_security_mode": "Encrypted"},
    ]
    items = [phone_import.EarlierPhone.of(item) for item in given]
    reading = phone_import.read(world.record.context, items)
    warnings = world.record.run(lambda c: phone_import.carry_out(world.tx(c), reading)).warnings
    assert [warning[:60] for warning in warnings] == [
        f"1 phone, the first of them {OTHER}, cannot register in a secure mode"[:60],
        f"1 phone will probably fail: the first, {PHONE}, has neither"[:60],
    ]


def test_p54_a_key_that_the_phone_could_not_make_is_not_asked_for_again_unnoticed(world: World) -> None:
    world.record.add(authentication_mode=BY_STRING, key_size=4096)
    world.record.plan(items=[{"device_name": PHONE, "authentication_string": "471147"}])
    world.record.fail(world.record.grant(password="471147").hold, Outcome.KEY_GENERATION_FAILED, NO_KEY)
    (warning,) = world.record.plan().warnings
    could_not = "could not make the key in its last operation, which asked for RSA 4096"
    assert f"the first, {PHONE}, {could_not}; choose another key size or Key Order" in warning
    world.record.plan(operation=Operation.NONE)
    world.record.plan(items=[{"device_name": PHONE, "authentication_string": "471147"}])
    world.record.fail(world.record.grant(password="471147").hold, Outcome.KEY_GENERATION_FAILED, NO_KEY)
    assert world.record.plan(cautious=True).skipped == {
        f"not tried: it {could_not}; choose another key size or Key Order": [PHONE]
    }
    assert world.record.plan(defaults={"key_size": 2048}).warnings == []


@pytest.mark.parametrize(
    ("status", "mode", "problem", "mic", "todo"),
    [
        ("Upgrade Failed: Invalid LSC", LSC_FIRST, "the LSC expired on 2026-01-01", True, f"use {MIC_FIRST} if"),
        ("Upgrade Failed: Invalid LSC", LSC_FIRST, "the LSC expired on 2026-01-01", False, f": use {NULL} or"),
        (
            "Upgrade Failed: Invalid MIC",
            MIC_FIRST,
            "the MIC expired on 2015-01-01",
            True,
            "capf_server_allow_expired_mic",
        ),
        (
            "Delete Failed: Invalid MIC",
            MIC_FIRST,
            "the MIC is signed with SHA-1, and SHA-1 MICs are not allowed",
            True,
            "capf_server_allow_sha1_mic",
        ),
        (
            "Upgrade Failed: Invalid MIC",
            MIC_FIRST,
            "its issuer 'CN=x' is not trusted",
            True,
            "ucm.capf.manufacturing_ca",
        ),
    ],
)
def test_p54_the_advice_is_for_the_phone_and_its_problem(
    status: str, mode: str, problem: str, mic: bool, todo: str
) -> None:
    assert todo in advice.advice(status, mode, problem, mic=mic)
