# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Maps errors to HTTP answers, in one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from capf.api import validation
from capf.api.shapes import ErrorAnswer
from capf.model import HIDDEN, CapfError, ConflictError, InvalidRequestError, Problem, StoreUnavailableError

LOG = logging.getLogger(__name__)
_HIDDEN = ("authentication_string", "password", "passphrase", "private_key", "files")
_OF_NO_FIELD = ("extra_forbidden", "model_attributes_type", "model_type", "dict_type", "list_type")
_VALUE_CHARACTERS = 100
_PROBLEMS = 100

UNREADABLE, UNAUTHORIZED, NOT_FOUND, NO_METHOD, TOO_SLOW, CONFLICT = 400, 401, 404, 405, 408, 409
TOO_LARGE, INVALID, TOO_MANY, INTERNAL, UNAVAILABLE = 413, 422, 429, 500, 503
_MEANINGS = {
    UNREADABLE: "The body cannot be read; nothing was changed",
    UNAUTHORIZED: "Administrator name or password is wrong",
    NOT_FOUND: "The path or object does not exist",
    NO_METHOD: "The path does not support this method",
    TOO_SLOW: "The body did not arrive in time",
    CONFLICT: "The current state does not allow it",
    TOO_LARGE: "The body is too large",
    INVALID: "Something in the request is wrong; nothing was changed",
    TOO_MANY: "Too many wrong passwords from this address",
    INTERNAL: "Internal error of the server; see its log",
    UNAVAILABLE: "The database is not available; nothing was changed",
}
_CODES = {
    UNAUTHORIZED: "unauthorized",
    NOT_FOUND: "not_found",
    NO_METHOD: "method_not_allowed",
    TOO_SLOW: "too_slow",
    TOO_LARGE: "too_large",
    TOO_MANY: "too_many",
}
_REFERENCE = "#/components/schemas/{model}"
_SHAPE = {"application/json": {"schema": {"$ref": _REFERENCE.format(model=ErrorAnswer.__name__)}}}
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"content": _SHAPE, "description": meaning} for status, meaning in _MEANINGS.items()
}
"""The errors of every route. They refer to the shape that ``describe`` adds; a model here would be built for each
route again, which would take half of the time of a start."""
OF_MONITORS: dict[int | str, dict[str, Any]] = {status: DOCUMENTED[status] for status in (UNAUTHORIZED, TOO_MANY)}


def describe(document: dict[str, Any]) -> dict[str, Any]:
    """Add the shape of an error's answer to an OpenAPI document, and return the document."""
    shape = ErrorAnswer.model_json_schema(ref_template=_REFERENCE, mode="serialization")
    document["components"]["schemas"] |= {**shape.pop("$defs"), ErrorAnswer.__name__: shape}
    return document


class Refusal(HTTPException):
    """An error answer with its own message; an ``HTTPException`` of a library gets the message in the table."""


def answer(
    status: int,
    code: str,
    message: str,
    problems: Sequence[Problem] = (),
    details: Mapping[str, int | str] | None = None,
) -> JSONResponse:
    """Return an error answer."""
    shown = [{name: _encodable(text) for name, text in asdict(item).items()} for item in problems[:_PROBLEMS]]
    body = {"error": {"code": code, "message": _encodable(message), "problems": shown, "details": dict(details or {})}}
    headers = {"WWW-Authenticate": 'Basic realm="capf"'} if status == UNAUTHORIZED else None
    return JSONResponse(body, status, headers)


def _encodable(text: str) -> str:
    """Return the text with unpaired surrogates escaped: JSON can contain them, UTF-8 cannot."""
    return text.encode("utf-8", "backslashreplace").decode()


async def _capf_error(_unused: Request, error: Exception) -> Response:
    if isinstance(error, InvalidRequestError):
        return _invalid(error.problems)
    if isinstance(error, StoreUnavailableError):
        LOG.error("event=store-unavailable error=%r", str(error))
        return answer(UNAVAILABLE, "unavailable", str(error))
    assert isinstance(error, CapfError)  # noqa: S101 - FastAPI calls this handler for no other
    if isinstance(error, ConflictError):
        return answer(CONFLICT, error.code, str(error), details=error.details)
    return answer(CONFLICT, "conflict", str(error))


async def _validation_error(_unused: Request, error: Exception) -> Response:
    """Answer with field, value and our own message for every error that pydantic found."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - FastAPI calls this handler for no other
    return _invalid([_problem(item) for item in error.errors()])


def _invalid(problems: Sequence[Problem]) -> JSONResponse:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return answer(INVALID, "invalid", f"{count}; nothing was changed", problems)


def _problem(error: Any) -> Problem:
    field = ""
    for part in error["loc"][1:]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    value = HIDDEN if any(word in field for word in _HIDDEN) else _given(error)
    return validation.problem(field.lstrip(".") or "body", value, error["type"], error.get("ctx", {}))


def _given(error: Any) -> str:
    """Return the value of a known field with a plain type; any other value may contain a secret."""
    kind, given = error["type"], error.get("input")
    if kind == "missing":
        return "(missing)"
    if kind in _OF_NO_FIELD or not isinstance(given, str | int | float | None):
        return HIDDEN
    return str(given)[:_VALUE_CHARACTERS]


async def _http_error(_unused: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - FastAPI calls this handler for no other
    status = error.status_code
    meaning = _MEANINGS.get(status, _MEANINGS[UNREADABLE])
    message = str(error.detail) if isinstance(error, Refusal) else meaning[:1].lower() + meaning[1:]
    return answer(status, _CODES.get(status, "invalid"), message)


async def _unexpected(request: Request, error: Exception) -> Response:
    """Handle unexpected exceptions: log their type, and answer without any detail."""
    LOG.error("event=request-failed method=%s path=%r error=%s", request.method, request.url.path, type(error).__name__)
    return answer(INTERNAL, "internal", "internal error of the server; see its log")


def install(app: FastAPI) -> None:
    """Install these handlers in ``app``."""
    app.add_exception_handler(CapfError, _capf_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
