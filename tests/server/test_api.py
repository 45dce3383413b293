# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The administration API: its OpenAPI document, its errors, and what it makes of any text and number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.inprocess import InProcess, NodeInProcess, new_state
from support.requesting import PASSWORD

A = "SEP00000000000A"
JSON = ("application/json",)
OPEN_PATHS = {"/healthz", "/readyz", "/metrics"}
SHOWN_ELSEWHERE = {
    "/backup",
    "/trace/files/{name}",
    "/files",
    "/reports/capf",
    "/rollouts/{name}",
    "/rollouts/{name}/abort",
    "/rollouts/{name}/pause",
    "/rollouts/{name}/release",
    "/rollouts/{name}/report",
    "/rollouts/{name}/resume",
    "/rollouts/{name}/watch",
    "/rollouts/{name}/waves",
    "/rollouts/{name}/waves/{number}/judge",
    "/rollouts/{name}/waves/{number}/wait",
    "/service/restart",
}


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeInProcess]:
    """A first node for requests that are refused."""
    made = NodeInProcess(InProcess(new_state(tmp_path_factory.mktemp("refuses") / "state")))
    yield made
    made.stop()


def test_the_openapi_document_is_true(node: NodeInProcess) -> None:
    _status, document = node.api("GET", "/openapi.json", base="")
    schemas = document["components"]["schemas"]
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    capf = node.ok("GET", "/capf-certificate")["current"]["pem"]
    requests: dict[tuple[str, str], Any] = {
        ("get", "/service"): None,
        ("put", "/service"): {"activated": False},
        ("get", "/service-parameters"): None,
        ("put", "/service-parameters"): {"parameters": {"Key Size": 4096}},
        ("get", "/enterprise-parameters"): None,
        ("put", "/enterprise-parameters"): {"parameters": {"Enable IPv6": False}},
        ("post", "/phones"): {"phones": [{"device_name": A}]},
        ("post", "/phones/find"): {},
        ("post", "/operations"): {"operation": "Install/Upgrade", "phones": [A]},
        ("post", "/operations/wait"): {"phones": [A], "timeout": 0},
        ("post", "/phones/reset"): {"phones": [A], "dry_run": True},
        ("get", "/events"): None,
        ("post", "/preflight"): {},
        ("post", "/phones/unlock"): {"phones": [A]},
        ("get", "/capf-certificate"): None,
        ("put", "/capf-certificate"): {"state": "discarded"},
        ("put", "/capf-certificate/trusted"): {"state": "present", "certificates": [capf]},
        ("get", "/manufacturing-cas"): None,
        ("put", "/manufacturing-cas"): {"certificates": [capf], "state": "absent"},
        ("get", "/rollouts"): None,
        ("get", "/nodes"): None,
        ("put", "/nodes"): {"nodes": [{"name": "192.0.2.9"}], "state": "absent"},
        ("post", "/nodes/check"): {},
        ("post", "/nodes/publish"): {"phones": [A]},
        ("get", "/ctl-file"): None,
        ("put", "/ctl-file"): {"digest": "SHA-1"},
        ("post", "/files/compare"): {"digests": {}},
        ("post", "/phones/import"): {"phones": [{"device_name": A}]},
        ("put", "/account/password"): {"password": PASSWORD},
        ("get", "/trace"): None,
        ("put", "/trace"): {"maximum_file_size": 3},
        ("get", "/trace/files"): None,
    }
    for (method, path), body in requests.items():
        answer = node.ok(method.upper(), path, body)
        described = document["paths"][f"/api/v1{path}"][method]["responses"]["200"]["content"]["application/json"]
        schema = schemas[described["schema"]["$ref"].rsplit("/", 1)[1]]
        assert set(answer) == set(schema["properties"]), path
    wanted = {f"/api/v1{path}" for _method, path in requests} | {f"/api/v1{path}" for path in SHOWN_ELSEWHERE}
    assert set(document["paths"]) == wanted | OPEN_PATHS
    status, answer = node.api("POST", "/operations", {"operation": "Nonsense", "phones": [A]})
    assert status == 422 and answer["error"]["problems"][0]["field"] == "operation"


def test_the_openapi_document_is_true_of_errors(node: NodeInProcess) -> None:
    _status, document = node.api("GET", "/openapi.json", base="")
    schemas = document["components"]["schemas"]
    node.ok("POST", "/phones", {"phones": [{"device_name": A}]})
    node.schedule(A)
    answers = {
        400: node.api("POST", "/phones/find", b'{"page": ' + b"9" * 5000 + b"}"),
        401: node.api("POST", "/phones/find", {}, password="wrong"),
        405: node.api("DELETE", "/phones/find"),
        409: node.api("POST", "/service/restart", {}),
        413: node.api("POST", "/phones/find", b"", headers={"content-length": str(1 << 30)}),
        422: node.api("POST", "/phones/find", {"page": 0}),
    }
    described = document["paths"]["/api/v1/phones/find"]["post"]["responses"]
    codes = {}
    for wanted, (status, answer) in answers.items():
        assert status == wanted, answer
        assert described[str(status)]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorAnswer")
        assert set(answer) == {"error"} and set(answer["error"]) == set(schemas["Failure"]["properties"])
        codes[status] = answer["error"]["code"]
    assert codes == {
        400: "invalid",
        401: "unauthorized",
        405: "method_not_allowed",
        409: "conflict",
        413: "too_large",
        422: "invalid",
    }
    assert {*codes.values(), "too_slow", "not_found", "internal"} <= set(
        schemas["Failure"]["properties"]["code"]["enum"]
    )
    assert {"408", "429", "500", "503"} <= set(described)
    for path, methods in document["paths"].items():
        for responses in (method["responses"] for method in methods.values() if path.startswith("/api/")):
            assert {tuple(responses[status]["content"]) for status in described if status > "4"} == {JSON}, path


def test_no_text_or_number_is_an_error_of_the_server(node: NodeInProcess) -> None:
    surrogate, allowed = "M\ud800", "Unicode text without control characters other than tabs and line breaks"
    for field in ("description", "device_pool", "device_type", "security_profile"):
        phone = {"device_name": A, field: "two\nlines\tof \u00fc\U0001f600"}
        node.ok("POST", "/phones", {"phones": [phone]})
        assert node.phone(A).get(field) in (phone[field], None)
        for text in ("a\0", "\x1b[2J", "\x7f", surrogate):
            for path in ("/phones", "/phones/import"):
                status, answer = node.api("POST", path, {"phones": [{"device_name": A, field: text}]})
                assert status == 422, answer
                (problem,) = answer["error"]["problems"]
                shown = text.replace(surrogate, "M\\ud800")
                message = f"{text!r} is refused; allowed: {allowed}"
                assert problem == {"field": f"phones[0].{field}", "value": shown, "message": message}
    for path, body in (
        ("/phones/find", {"page": 10**18}),
        ("/phones/find", {"criteria": [{"field": "description", "pattern": "contains", "value": "\0"}]}),
        ("/phones/find", {"criteria": [{"field": surrogate, "pattern": surrogate, "value": surrogate}]}),
        ("/phones/find", {surrogate: 1}),
        ("/phones/find", {"fields": [surrogate]}),
        ("/phones/find", {"fields": ["\0"]}),
        ("/operations/wait", {"phones": [surrogate]}),
        ("/operations/wait", {"phones": ["\0"]}),
        ("/rollouts/night/waves", {"runner": "\0", "authentication_strings": {surrogate: "1234"}}),
    ):
        status, answer = node.api("POST", path, body)
        assert status == 422 and answer["error"]["problems"], (path, body)
    for name, value in (("Key Size", 2048.5), ("Key Size", "9" * 5000), (surrogate, 1), ("Key Size", surrogate)):
        for method, path in (("PUT", "/service-parameters"), ("POST", "/preflight")):
            status, answer = node.api(method, path, {"parameters": {name: value}})
            assert status == 422 and len(answer["error"]["problems"]) == 1, answer
            if name != surrogate:
                assert answer["error"]["problems"][0]["message"].endswith("allowed: 512, 1024, 2048, 3072, 4096")


@pytest.mark.parametrize(
    "body", ["{", "[]", '{"phones": "x"}', '{"unknown": 1, "operation": "Delete"}', '{"operation": []}']
)
def test_a_body_that_makes_no_sense_is_refused_by_field(unchanged: NodeInProcess, body: str) -> None:
    status, answer = unchanged.api("POST", "/operations", body.encode())
    assert status == 422 and answer["error"]["problems"][0]["field"]


@pytest.mark.parametrize(
    "body",
    [
        {"items": [{"authentication_string": "48151623"}]},
        {"items": {"authentication_string": "48151623"}},
        {"items": "48151623"},
        {"items": ["48151623"]},
        {"items": [["48151623"]]},
        {"items": [{"device_name": A, "auth_string": "48151623"}]},
        {"items": [{"device_name": A, "authentication_string": ["48151623"]}]},
        {"phones": [{"authentication_string": "48151623"}]},
        [{"authentication_string": "48151623"}],
        "48151623",
    ],
)
def test_p13_no_refusal_repeats_an_authentication_string(unchanged: NodeInProcess, body: object) -> None:
    status, answer = unchanged.api("POST", "/operations", body)
    assert status == 422 and answer["error"]["problems"], answer
    assert "48151623" not in json.dumps(answer)
