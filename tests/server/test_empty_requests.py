# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""No route takes an empty list or a negative number for all, none or no limit (P57)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from capf.administration import new_node
from support.inprocess import InProcess
from support.requesting import ADMINISTRATOR, PASSWORD

Schema = dict[str, Any]
_EXAMPLES = {"device_name": "SEP00000000000A", "phones": ["SEP00000000000A"], "names": ["SEP00000000000A"]}


class Document:
    """The OpenAPI document of a server."""

    def __init__(self, document: Schema) -> None:
        self._schemas = document["components"]["schemas"]
        self._paths = document["paths"]

    def bodies(self) -> Iterator[tuple[str, str, Schema]]:
        """Yield method, path and schema of each request with a body."""
        for path, methods in self._paths.items():
            for method, described in methods.items():
                if "requestBody" in described:
                    schema = described["requestBody"]["content"]["application/json"]["schema"]
                    yield method.upper(), path.removeprefix("/api/v1"), self.resolved(schema)

    def queries(self) -> Iterator[tuple[str, str, Schema]]:
        """Yield path, name and schema of each parameter of a query."""
        for path, methods in self._paths.items():
            for described in methods.values():
                for given in described.get("parameters", ()):
                    if given["in"] == "query":
                        yield path, given["name"], self.resolved(given["schema"])

    def resolved(self, schema: Schema) -> Schema:
        """Return a schema without its reference and without null."""
        for kind in schema.get("anyOf", ()):
            if kind.get("type") != "null":
                return self.resolved({**{key: value for key, value in schema.items() if key != "anyOf"}, **kind})
        if "$ref" in schema:
            return self.resolved(self._schemas[schema["$ref"].rpartition("/")[2]])
        return schema

    def example(self, schema: Schema, name: str = "") -> Any:
        """Return a value that a schema allows."""
        schema = self.resolved(schema)
        if name in _EXAMPLES and schema["type"] in ("string", "array") and "$ref" not in schema.get("items", {}):
            return _EXAMPLES[name]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        if kind == "object":
            required = schema.get("required", ())
            return {key: self.example(schema["properties"][key], key) for key in required}
        if kind == "array":
            return [self.example(schema["items"])]
        return {"string": "x", "integer": max(1, schema.get("minimum", 1)), "number": 1, "boolean": False}[kind]

    def wrong(self, schema: Schema, where: str = "") -> Iterator[tuple[str, Any, Any]]:
        """Yield the name of a field, a wrong value for it, and an example of the object with that value."""
        whole = self.example(schema)
        if "operation" in whole and "items" in schema["properties"]:  # it needs one of two lists
            whole["phones"] = _EXAMPLES["phones"]
        for name, given in schema.get("properties", {}).items():
            field = self.resolved(given)
            if field.get("type") == "array":
                yield where + name, [], {**whole, name: []}
                item = self.resolved(field["items"])
                for inner, value, body in self.wrong(item, f"{where}{name}[0].") if "properties" in item else ():
                    yield inner, value, {key: whole[key] for key in whole if key != "phones"} | {name: [body]}
            elif field.get("type") in ("integer", "number"):
                yield where + name, -1, {**whole, name: -1}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a node."""
    path = tmp_path_factory.mktemp("empty") / "state"
    new_node.initialise(new_node.NewNode(path, ADMINISTRATOR, PASSWORD, ["localhost"]), 1.7e9)
    return path


def test_p57_no_route_takes_an_empty_list_or_a_negative_number(directory: Path) -> None:
    async def ask() -> list[str]:
        node = await InProcess(directory).begin()
        try:
            document = Document((await node.ask("GET", "/openapi.json", base="")).json)
            taken, asked = [], 0
            for method, path, schema in document.bodies():
                for field, value, body in document.wrong(schema):
                    asked += 1
                    answer = await node.ask(method, path.format(name="night", number=1), body)
                    fields = [item["field"] for item in answer.json.get("error", {}).get("problems", ())]
                    if answer.status != 422 or field not in fields:
                        taken.append(f"{method} {path} {field}={value}: {answer.status} {answer.body.decode()[:200]}")
            assert asked > 50
            return taken
        finally:
            await node.close()

    assert asyncio.run(ask()) == []


def test_p57_no_query_takes_a_negative_number(directory: Path) -> None:
    async def ask() -> dict[str, Any]:
        node = await InProcess(directory).begin()
        try:
            document = Document((await node.ask("GET", "/openapi.json", base="")).json)
        finally:
            await node.close()
        numbers = {f"{path} {name}": kind for path, name, kind in document.queries() if kind["type"] == "integer"}
        return {name: kind.get("minimum", -1) for name, kind in numbers.items()}

    bounds = asyncio.run(ask())
    assert bounds and all(bound >= 0 for bound in bounds.values()), bounds
