"""Errors become answers, in one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from capf.api.shapes import ErrorAnswer
from capf.model import CapfError, ConflictError, InvalidRequestError, StoreUnavailableError

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
    NO_METHOD: "The path is not used in this way",
    TOO_SLOW: "The body did not come in time",
    CONFLICT: "The present state does not allow it",
    TOO_LARGE: "The body is too large",
    INVALID: "Something in the request is wrong; nothing was changed",
    TOO_MANY: "Too many wrong passwords from this address",
    INTERNAL: "An error of the server itself, which its log tells",
    UNAVAILABLE: "The database cannot be used now; nothing was changed",
}
_CODES = {
    UNAUTHORIZED: "unauthorized",
    NOT_FOUND: "not_found",
    NO_METHOD: "method_not_allowed",
    TOO_SLOW: "too_slow",
    TOO_LARGE: "too_large",
    TOO_MANY: "too_many",
}
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": meaning} for status, meaning in _MEANINGS.items()
}
OF_MONITORS: dict[int | str, dict[str, Any]] = {status: DOCUMENTED[status] for status in (UNAUTHORIZED, TOO_MANY)}


def answer(
    status: int,
    code: str,
    message: str,
    problems: list[dict[str, str]] | None = None,
    details: Mapping[str, int | str] | None = None,
) -> JSONResponse:
    """Return an error answer."""
    shown = [{name: _encodable(text) for name, text in problem.items()} for problem in (problems or [])[:_PROBLEMS]]
    body = {"error": {"code": code, "message": _encodable(message), "problems": shown, "details": dict(details or {})}}
    headers = {"WWW-Authenticate": 'Basic realm="capf"'} if status == UNAUTHORIZED else None
    return JSONResponse(body, status, headers)


def _encodable(text: str) -> str:
    """Return the text with each half of a surrogate pair, which JSON can bring and UTF-8 cannot hold, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


async def _capf_error(_unused: Request, error: Exception) -> Response:
    if isinstance(error, InvalidRequestError):
        problems = [{"field": item.field, "value": item.value, "allowed": item.allowed} for item in error.problems]
        return answer(INVALID, "invalid", f"{len(problems)} problem(s); nothing was changed", problems)
    if isinstance(error, StoreUnavailableError):
        LOG.error("event=store-unavailable error=%r", str(error))
        return answer(UNAVAILABLE, "unavailable", str(error))
    assert isinstance(error, CapfError)  # noqa: S101 - FastAPI calls this handler for no other
    if isinstance(error, ConflictError):
        return answer(CONFLICT, error.code, str(error), details=error.details)
    return answer(CONFLICT, "conflict", str(error))


async def _validation_error(_unused: Request, error: Exception) -> Response:
    """Name field, value and what is allowed of every error that pydantic found."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - FastAPI calls this handler for no other
    problems = [_problem(item) for item in error.errors()]
    return answer(INVALID, "invalid", f"{len(problems)} problem(s); nothing was changed", problems)


def _problem(error: Any) -> dict[str, str]:
    field = ""
    for part in error["loc"][1:]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    hidden = any(word in field for word in _HIDDEN)
    value = "(hidden)" if hidden else _given(error)
    return {"field": field.lstrip(".") or "body", "value": value, "allowed": error["msg"]}


def _given(error: Any) -> str:
    """Return what was given in a field that exists and takes a plain value; anything else may hold a secret."""
    kind, given = error["type"], error.get("input")
    if kind == "missing":
        return "(missing)"
    if kind in _OF_NO_FIELD or not isinstance(given, str | int | float | None):
        return "(hidden)"
    return str(given)[:_VALUE_CHARACTERS]


async def _http_error(_unused: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - FastAPI calls this handler for no other
    return answer(error.status_code, _CODES.get(error.status_code, "invalid"), str(error.detail))


async def _unexpected(request: Request, error: Exception) -> Response:
    """Answer where nobody thought of an error; what it is stands in the log alone."""
    LOG.error("event=request-failed method=%s path=%r error=%s", request.method, request.url.path, type(error).__name__)
    return answer(INTERNAL, "internal", "the server made an error; its log says more")


def install(app: FastAPI) -> None:
    """Handle every error of ``app`` here."""
    app.add_exception_handler(CapfError, _capf_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
