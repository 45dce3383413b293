# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which session makes room if a device has too many (P33)."""

from __future__ import annotations

from dataclasses import dataclass

from capf.phone_session.devices import Places


@dataclass(eq=False)
class Session:
    """A session from an address."""

    peer: str
    proved: bool = False
    deciding: bool = False


PHONE, OTHER = "SEP00000000000A", "SEP00000000000B"


def filled(*sessions: Session) -> Places[Session]:
    """Return the places after these sessions of one phone were added."""
    places = Places[Session](len(sessions))
    assert all(places.enter(session, PHONE) for session in sessions)
    return places


def test_p33_the_address_with_most_sessions_makes_room_with_its_oldest() -> None:
    phone, strangers = Session("192.0.2.1"), [Session("203.0.113.9") for _index in range(3)]
    places = filled(phone, *strangers)
    assert places.make_room(PHONE) is strangers[0]
    assert places.enter(Session("203.0.113.9"), PHONE)
    assert places.make_room(PHONE) is strangers[1]


def test_p33_an_ipv6_network_counts_as_one_address() -> None:
    phone, strangers = Session("2001:db8:1::1"), [Session(f"2001:db8:2::{index}") for index in range(2)]
    assert filled(phone, *strangers).make_room(PHONE) is strangers[0]


def test_p33_a_session_that_proved_itself_makes_room_for_nobody() -> None:
    places = filled(Session("192.0.2.1", proved=True))
    assert places.make_room(PHONE) is None
    assert not places.enter(Session("192.0.2.1"), PHONE)


def test_p33_a_session_whose_claim_is_being_decided_makes_room_for_nobody() -> None:
    """It may be the phone's: four lost sessions with the correct string would end its operation."""
    places = filled(Session("192.0.2.1", deciding=True), refused := Session("192.0.2.1"))
    assert places.make_room(PHONE) is refused
    assert places.enter(Session("192.0.2.1", deciding=True), PHONE)
    assert places.make_room(PHONE) is None


def test_p33_places_are_of_one_device_and_come_back() -> None:
    session = Session("192.0.2.1")
    places = filled(session)
    assert places.make_room(OTHER) is None and places.enter(Session("192.0.2.1"), OTHER)
    places.leave(session, PHONE)
    places.leave(session, PHONE)
    assert places.make_room(PHONE) is None and places.enter(session, PHONE)
