# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A rollout by the administration API, and its metrics (R16)."""

from __future__ import annotations

from typing import Any

import pytest

from support.inprocess import NodeInProcess
from support.rollouts import enrol, numbers

NAMES = [f"SEP0000000000{index:02X}" for index in range(4)]
PHONES = [{"device_name": name, "key_order": "EC Only", "ec_key_size": 256} for name in NAMES]
RUNNER = {"runner": "run-1"}
RUN = {**RUNNER, "rollout_id": 1}


def begin(node: NodeInProcess, **settings: Any) -> dict[str, Any]:
    """Register the phones and begin a rollout of them."""
    wanted = {**RUNNER, "phones": PHONES, "wave_size": "2", **settings}
    answer: dict[str, Any] = node.ok("PUT", "/rollouts/night", wanted)
    return answer


def described(node: NodeInProcess, method: str, path: str) -> set[str]:
    """Return the fields of an answer in the OpenAPI document."""
    _status, document = node.api("GET", "/openapi.json", base="")
    answer = document["paths"][f"/api/v1{path}"][method]["responses"]["200"]["content"]["application/json"]["schema"]
    return set(document["components"]["schemas"][answer["$ref"].rsplit("/", 1)[1]]["properties"])


def test_r16_a_dry_run_shows_the_plan_of_phones_that_are_not_registered_yet(node: NodeInProcess) -> None:
    node.activate()
    dry = begin(node, dry_run=True)
    assert node.ok("POST", "/phones/find", {})["total"] == 0 and node.ok("GET", "/rollouts") == {"rollouts": []}
    real = begin(node)
    assert dry["plan"]["waves"] == real["plan"]["waves"] and real["begun"] and real["registered"]["created"] == 4
    assert set(real) == described(node, "put", "/rollouts/{name}")


def test_r16_a_rollout_from_its_beginning_to_its_end(node: NodeInProcess) -> None:
    node.activate()
    begin(node)
    for number in (1, 2):
        started = node.ok("POST", "/rollouts/night/waves", RUN)
        assert started["wave"]["number"] == number
        for name in started["wave"]["phones"]:
            enrol(node.record, name)
        path = f"/rollouts/night/waves/{number}"
        waited = node.ok("POST", f"{path}/wait", {**RUN, "timeout": 10})
        assert waited["ended"] and waited["counts"] == numbers(done=2)
        assert set(waited) == described(node, "post", "/rollouts/{name}/waves/{number}/wait")
        metrics = node.api("GET", "/metrics", base="")[1]
        assert f'capf_rollout_phones{{part="done",rollout="night"}} {2 * number}.0' in metrics
        assert f'capf_rollout_wave{{rollout="night"}} {number}.0' in metrics
        now = node.ok("GET", "/rollouts/night")["progress"]
        assert (now["number"], now["counts"]) == (number, waited["counts"]) and now["phones_a_minute"] > 0
        assert 'capf_rollout_wave_seconds_left{rollout="night"}' in metrics
        judged = node.ok("POST", f"{path}/judge", RUN)
        assert not judged["stopped"]
        assert set(judged) == described(node, "post", "/rollouts/{name}/waves/{number}/judge")
    ended = node.ok("POST", "/rollouts/night/waves", RUN)
    assert ended["ended"] and set(ended) == described(node, "post", "/rollouts/{name}/waves")
    state = node.ok("GET", "/rollouts/night")
    assert (state["state"], state["by_status"]) == ("done", {"Upgrade Success": 4}) and state["progress"] is None
    assert set(state) == described(node, "get", "/rollouts/{name}")
    again = begin(node)
    assert (again["changed"], again["rollout"], again["plan"]["skipped"]) == (False, None, {"LSC is right": NAMES})


def test_r10_phones_that_took_the_second_step_keep_it_when_the_same_list_comes_again(node: NodeInProcess) -> None:
    node.activate()
    secure = {"device_security_mode": "Non Secure", "security_mode_after": "Authenticated"}
    phones = [{**phone, **secure} for phone in PHONES]
    begin(node, phones=phones)
    first = node.ok("POST", "/rollouts/night/waves", RUN)["wave"]["phones"]
    for name in first:
        enrol(node.record, name)
    assert node.ok("POST", "/rollouts/night/waves/1/judge", RUN)["switched"] == first
    assert not begin(node, phones=phones)["changed"]
    modes = {name: node.phone(name)["device_security_mode"] for name in NAMES}
    assert modes == {name: "Authenticated" if name in first else "Non Secure" for name in NAMES}


def test_r16_phones_are_given_named_or_found(node: NodeInProcess) -> None:
    node.activate()
    node.ok("POST", "/phones", {"phones": PHONES})
    criteria = [{"field": "device_name", "pattern": "ends with", "value": "3"}]
    found = node.ok("PUT", "/rollouts/night", {**RUNNER, "criteria": criteria})
    assert [wave["phones"] for wave in found["plan"]["waves"]] == [[NAMES[3]]]
    named = node.ok("PUT", "/rollouts/other", {**RUNNER, "names": NAMES[:1], "dry_run": True})
    assert [wave["phones"] for wave in named["plan"]["waves"]] == [NAMES[:1]]
    status, answer = node.api("PUT", "/rollouts/third", RUNNER)
    assert (status, answer["error"]["problems"][0]["message"]) == (
        422,
        "give exactly one of phones, names and criteria",
    )


@pytest.mark.parametrize("path", ["/rollouts/none", "/rollouts/none/waves", "/rollouts/none/abort"])
def test_a_rollout_that_is_not_there_is_reported(node: NodeInProcess, path: str) -> None:
    method, body = ("GET", None) if path.endswith("none") else ("POST", RUN)
    status, answer = node.api(method, path, body)
    assert status == 409 and "'none'" in answer["error"]["message"]


def test_r16_an_aborted_rollout_cancels_what_is_pending(node: NodeInProcess) -> None:
    node.activate()
    begin(node)
    phones = node.ok("POST", "/rollouts/night/waves", RUN)["wave"]["phones"]
    dry = node.ok("POST", "/rollouts/night/abort", {**RUN, "dry_run": True})
    done = node.ok("POST", "/rollouts/night/abort", {})
    assert dry["changed"] and done["changed"] and dry["cancelled"] == done["cancelled"] == phones
    assert dry["message"] == "the rollout 'night' would be aborted: 2 operations cancelled"
    when = done["rollout"]["ended_at"]
    assert done["message"] == f"the rollout 'night' was aborted by admin at {when}: 2 operations cancelled"
    assert set(done) == described(node, "post", "/rollouts/{name}/abort")
    assert node.phone(phones[0])["certificate_operation"] == "No Pending Operation"
    assert node.ok("GET", "/rollouts/night")["state"] == "aborted"


def test_r24_a_ctl_file_that_is_outdated_holds_the_next_wave_until_it_is_made_again(node: NodeInProcess) -> None:
    node.activate()
    node.ok("PUT", "/ctl-file", {})
    begin(node)
    node.ok("PUT", "/service", {"activated": False})
    node.ok("PUT", "/service", {"activated": True})
    status, answer = node.api("POST", "/rollouts/night/waves", RUN)
    assert status == 409 and answer["error"]["message"] == (
        "no wave is started: CTL file: it is outdated: CAPF was activated after the CTL file was made. To do: "
        "make one with ucm.capf.ctl_file, and publish it with ucm.capf.files_publish; phones fetch it at a reset. "
        "The rollout can continue once that is fixed."
    )
    assert node.ok("GET", "/rollouts/night")["counts"]["waiting"] == 4
    node.ok("PUT", "/ctl-file", {})
    assert node.ok("POST", "/rollouts/night/waves", RUN)["wave"]["number"] == 1


def test_r16_a_run_before_the_window_is_refused_and_a_dry_run_shows_its_plan(node: NodeInProcess) -> None:
    node.activate()
    window = {"window_start": "2036-01-31T22:00", "before_window": "refuse"}
    status, answer = node.api("PUT", "/rollouts/night", {**RUNNER, "phones": PHONES, **window})
    assert status == 409 and "the window opens at 2036-01-31T22:00:00" in answer["error"]["message"]
    assert node.ok("GET", "/rollouts") == {"rollouts": []} and node.ok("POST", "/phones/find", {})["total"] == 0
    plan = begin(node, dry_run=True, **window)["plan"]
    assert len(plan["waves"]) == 2 and plan["warnings"][0].startswith("the window opens at 2036-01-31T22:00:00")
