# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CAPF that cannot run: the setting is refused if possible, otherwise the problem is reported and retried (P36)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from capf.administration import checking
from capf.model import CapfError
from capf.process import server
from capf.registry import parameters
from capf.store import named_values
from support.asgi import Answer
from support.inprocess import InProcess, new_state
from support.node import free_ports

pytestmark = pytest.mark.slow

PORT, IPV6 = "CAPF Phone Port", "Enable IPv6"
LOOPBACK = 'addresses = ["127.0.0.1"]\naddresses_ipv6 = ["2001:db8::1"]\n'


@pytest_asyncio.fixture
async def node(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A node with CAPF on loopback, not activated."""
    directory = new_state(tmp_path / "state")
    made = await InProcess(directory, LOOPBACK).begin()
    yield made
    await made.close()


async def set_parameters(node: InProcess, dry_run: bool = False, **values: Any) -> Answer:
    """Set enterprise parameters; underscores replace spaces."""
    wanted = {name.replace("_", " "): value for name, value in values.items()}
    return await node.ask("PUT", "/enterprise-parameters", {"parameters": wanted, "dry_run": dry_run})


def problem(answer: Answer) -> dict[str, str]:
    """Return the problem of a refusal, which must be the only one."""
    assert answer.status == 422, answer.body
    (found,) = answer.json["error"]["problems"]
    return dict(found)


async def stored(node: InProcess, port: int) -> None:
    """Write a port to the database, as an edit or a restore does."""
    node.server.store.write(lambda c: named_values.put(c, f"parameter:{PORT}", str(port)))


@pytest.mark.parametrize(("port", "dry_run"), [(8443, False), (8443, True), (6970, False), (6970, True)])
async def test_p36_a_port_of_the_servers_own_is_refused_when_it_is_set(
    node: InProcess, port: int, dry_run: bool
) -> None:
    said = {
        "field": f"parameters.{PORT}",
        "value": str(port),
        "message": f"CAPF Phone Port {port} is already used by this server's own"
        f" {'administration' if port == 8443 else 'files'}; choose a port that the server does not use itself"
        " (administration 8443, files 6970)",
    }
    assert problem(await set_parameters(node, dry_run, CAPF_Phone_Port=port)) == said
    assert problem(await node.ask("POST", "/preflight", {"parameters": {PORT: port}})) == said
    assert node.server.store.read(parameters.stored).number(PORT) == 3804


async def test_p36_a_port_that_cannot_be_bound_is_refused_when_it_is_set(node: InProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for answer in (
            await set_parameters(node, CAPF_Phone_Port=port),
            await set_parameters(node, True, CAPF_Phone_Port=port),
            await node.ask("POST", "/preflight", {"parameters": {PORT: port}}),
        ):
            found = problem(answer)
            assert (found["field"], found["value"]) == (f"parameters.{PORT}", str(port))
            assert found["message"] == (
                f"CAPF cannot listen on port {port} (127.0.0.1:{port}: Address already in use);"
                " choose a port that is free on this node"
            )
    assert (await set_parameters(node, CAPF_Phone_Port=port)).status == 200


async def test_p36_ipv6_addresses_that_cannot_be_bound_are_refused_when_they_are_set(node: InProcess) -> None:
    (port,) = free_ports(1)
    found = problem(await set_parameters(node, Enable_IPv6=True, CAPF_Phone_Port=port))
    assert (found["field"], found["value"]) == (f"parameters.{IPV6}", "True")
    assert f"[2001:db8::1]:{port}: " in found["message"]
    assert (await set_parameters(node, Enable_IPv6=False, CAPF_Phone_Port=port)).status == 200


async def test_p36_its_own_socket_hinders_a_running_capf_from_nothing(node: InProcess) -> None:
    (port,) = free_ports(1)
    assert (await set_parameters(node, CAPF_Phone_Port=port)).status == 200
    await node.ok("PUT", "/service", {"activated": True})
    assert (await set_parameters(node, CAPF_Phone_Port=port)).json["changed"] is False
    assert (await node.ok("POST", "/preflight", {"parameters": {PORT: port}}))["counts"]
    assert (await node.ok("POST", "/service/restart", {}))["after"]["running"]


async def test_p36_a_capf_that_cannot_listen_is_named_everywhere_and_starts_by_itself(node: InProcess) -> None:
    (port,) = free_ports(1)
    await set_parameters(node, CAPF_Phone_Port=port)
    await node.ok("PUT", "/service", {"activated": True})
    await node.close()
    with socket.create_server(("127.0.0.1", port)):
        await node.open()
        why = f"CAPF cannot listen on port {port} (127.0.0.1:{port}: Address already in use)"
        shown = await node.ok("GET", "/service")
        assert (shown["activated"], shown["running"], shown["restart_required"]) == (True, False, True)
        assert shown["problem"] == why
        ready = await node.ask("GET", "/readyz", base="")
        assert ready.status == 503 and ready.json["problems"] == [f"CAPF is activated but not running: {why}"]
        checklist = (await node.ok("POST", "/preflight", {}))["checklist"]
        (item,) = [entry for entry in checklist if entry["name"] == "CAPF service"]
        assert item["result"] == "failed" and why in item["message"]
        numbers = (await node.ask("GET", "/metrics", base="")).body.decode()
        assert "capf_service_activated 1.0" in numbers and "capf_service_running 0.0" in numbers
        assert checking.look(node.settings) == [f"CAPF is activated but not running: {why}"]
    await node.server.follow()
    shown = await node.ok("GET", "/service")
    assert (shown["running"], shown["problem"], shown["restart_required"]) == (True, "", False)
    assert checking.look(node.settings) == []


async def test_p36_current_means_that_it_runs(node: InProcess) -> None:
    (port,) = free_ports(1)
    current = {"if_due": True}
    refused = await node.ask("POST", "/service/restart", current)
    assert refused.status == 409 and "not activated" in refused.json["error"]["message"]
    await set_parameters(node, CAPF_Phone_Port=port)
    await node.ok("PUT", "/service", {"activated": True})
    assert (await node.ok("POST", "/service/restart", current))["changed"] is False
    await node.server.service.stop()
    with socket.create_server(("127.0.0.1", port)):
        for body in (current, {**current, "dry_run": True}):
            refused = await node.ask("POST", "/service/restart", body)
            assert refused.status == 409 and "Address already in use" in refused.json["error"]["message"]
    assert (await node.ok("POST", "/service/restart", {**current, "dry_run": True}))["changed"] is True
    assert not (await node.ok("GET", "/service"))["running"]
    assert (await node.ok("POST", "/service/restart", current))["changed"] is True
    assert (await node.ok("GET", "/service"))["running"]
    assert (await node.ok("POST", "/service/restart", current))["changed"] is False


async def test_p36_a_restart_that_cannot_succeed_leaves_capf_running(node: InProcess) -> None:
    (port,) = free_ports(1)
    await set_parameters(node, CAPF_Phone_Port=port)
    await node.ok("PUT", "/service", {"activated": True})
    await stored(node, 8443)
    refused = await node.ask("POST", "/service/restart", {})
    assert refused.status == 409
    assert refused.json["error"]["message"] == f"{PORT} 8443 is already used by this server's own administration"
    shown = await node.ok("GET", "/service")
    assert (shown["running"], shown["capf_phone_port"], shown["restart_required"]) == (True, port, True)


async def test_p36_an_activation_that_cannot_succeed_changes_nothing(node: InProcess) -> None:
    await stored(node, 6970)
    for dry_run in (True, False):
        refused = await node.ask("PUT", "/service", {"activated": True, "dry_run": dry_run})
        assert refused.status == 409 and "already used by this server's own files" in refused.json["error"]["message"]
    assert (await node.ok("GET", "/service"))["activated"] is False


async def test_p36_a_stored_port_of_the_servers_own_can_be_set_right(node: InProcess) -> None:
    (first, second) = free_ports(2)
    await set_parameters(node, CAPF_Phone_Port=first)
    await node.ok("PUT", "/service", {"activated": True})
    await node.close()
    await node.open(begin=False)
    await stored(node, 8443)
    await node.begin()
    shown = await node.ok("GET", "/service")
    assert not shown["running"] and shown["problem"].endswith("already used by this server's own administration")
    assert (await set_parameters(node, CAPF_Phone_Port=second)).status == 200
    assert (await node.ok("PUT", "/service", {"activated": True}))["changed"] is True
    shown = await node.ok("GET", "/service")
    assert shown["running"] and shown["capf_phone_port"] == second


async def test_p36_a_damaged_parameter_is_set_right_by_its_default(node: InProcess) -> None:
    node.server.store.write(lambda c: named_values.put(c, "parameter:Key Size", "big"))
    assert (await node.ok("GET", "/service"))["faults"][0]["where"] == "table settings, row 'parameter:Key Size'"
    body = {"parameters": {"Key Size": 2048}}
    assert await node.ok("PUT", "/service-parameters", body) == {
        "changed": True,
        "before": {"Key Size": "big"},
        "after": {"Key Size": 2048},
        "restart_required": False,
    }
    assert (await node.ok("GET", "/service"))["faults"] == []


async def test_p36_work_that_fails_is_named_and_begun_again(node: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_TRY_AGAIN_SECONDS", 0.01)
    tries, stop = [0], asyncio.Event()

    async def work() -> None:
        tries[0] += 1
        if tries[0] < 3:
            raise CapfError("files cannot listen on 127.0.0.1:6970: Address already in use")
        await stop.wait()

    going = asyncio.create_task(node.server._go_on("serving files to phones", work, stop))
    while tries[0] < 3:
        await asyncio.sleep(0.01)
    ready = await node.ask("GET", "/readyz", base="")
    assert ready.status == 503 and "serving files to phones: files cannot listen" in ready.json["problems"][0]
    stop.set()
    with suppress(TimeoutError):
        await asyncio.wait_for(going, 5)
    assert going.done()
