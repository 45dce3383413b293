# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors are sentences of this server: no text of a library is shown to a user."""

from __future__ import annotations

import ast
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from cryptography import x509
from pydantic_core import core_schema
from sqlalchemy.exc import OperationalError

import capf
import capf_lab
from capf.api import validation
from capf.model import HIDDEN, CapfError, ConflictError, Problem, not_allowed, words_of
from capf.store import driver_errors

FILES = sorted(path for package in (capf, capf_lab) for path in Path(str(package.__file__)).parent.rglob("*.py"))
KINDS = get_args(core_schema.ErrorType)
CONTEXT = {"ge": 1, "le": 9, "min_length": 1, "max_length": 9, "expected": "'a' or 'b'"}
OUR_ERRORS = {"CapfError", "ConflictError", "DamagedError", "InvalidRequestError", "StoreUnavailableError", "LintError",
              "ConfigurationError", "CtlError", "WireError", "UnreachableError", "RefusedError", "UnreadableError",
              "CsvError", "ListError", "FurtherNodeError", "PoolExhaustedError", "EnvelopeError", "SigningKeyError",
              "UnreadableKeyError"}  # fmt: skip
"""Errors that contain our own texts; for errors of the operating system, ``strerror`` is used."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_pydantic_has_words_of_ours(kind: str) -> None:
    found = validation.problem("field", "value", kind, CONTEXT)
    assert re.search(
        r"refused; allowed: .|unknown field|this field is required|not valid JSON|invalid value", found.message
    )
    assert "Input should" not in found.message and "{" not in found.message


def test_a_choice_is_named_with_the_value_and_a_secret_is_not() -> None:
    assert str(not_allowed("size", "7", [1, 2])) == "size: '7' is refused; allowed: 1, 2"
    assert (
        str(not_allowed("passphrase", HIDDEN, "12 characters"))
        == "passphrase: this value is refused; allowed: 12 characters"
    )
    assert str(Problem("phones[0]", "SEP1", "SEP1 has no LSC to delete")) == "phones[0]: SEP1 has no LSC to delete"


def raised(work: Callable[[], object]) -> Exception:
    """Return the error that this raises."""
    with pytest.raises(Exception) as error:
        work()
    return error.value


def test_words_of_an_error_are_ours_or_the_operating_systems() -> None:
    assert words_of(ConflictError("CAPF is not activated")) == "CAPF is not activated"
    assert words_of(raised(lambda: Path("/no/such").read_bytes())) == "/no/such: No such file or directory"
    pem = raised(lambda: x509.load_pem_x509_certificate(b"junk"))
    assert words_of(pem) == "an unexpected error (ValueError); see the server's log"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("SQLITE_FULL", "its disk is full (SQLITE_FULL)"),
        ("SQLITE_IOERR_WRITE", "its disk has an error (SQLITE_IOERR_WRITE)"),
        ("SQLITE_NOLFS", "its error code is SQLITE_NOLFS"),
        ("53100", "it has run out of disk space or memory (53100)"),
        ("25006", "it is read-only (25006)"),
        ("XX000", "its error code is XX000"),
        (None, "it cannot be reached; check its address, user and password"),
    ],
)
def test_an_error_of_the_database_is_named_by_its_code(code: str | None, said: str) -> None:
    driver = SimpleNamespace(sqlstate=code)
    error = OperationalError("SELECT secret", None, sqlite3.OperationalError("words of the driver"))
    error.orig = driver  # type: ignore[assignment]
    assert driver_errors.words(error) == said


def handlers(path: Path) -> list[ast.ExceptHandler]:
    """Return the handlers of a file that bind the error to a name."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ExceptHandler) and node.name]


def caught(handler: ast.ExceptHandler) -> set[str]:
    """Return the names of the classes that a handler catches."""
    return {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(handler.type or ast.Constant(None))
        if isinstance(node, ast.Attribute | ast.Name)
    } - {"ctl", "delivery", "sqlite3"}


def is_said(handler: ast.ExceptHandler) -> bool:
    """Return whether a handler uses the error's text, except in log lines and for our own errors."""
    apart = {id(part) for node in ast.walk(handler) if _is_log(node) or _is_ours(node) for part in ast.walk(node)}
    return any(_says(node, handler.name) for node in ast.walk(handler) if id(node) not in apart)


def _says(node: ast.AST, name: str | None) -> bool:
    if isinstance(node, ast.FormattedValue):
        return _is_name(node.value, name)
    texts = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("str", "repr")
    return texts and any(_is_name(argument, name) for argument in node.args)  # type: ignore[attr-defined]


def _is_ours(node: ast.AST) -> bool:
    """Return whether this is ``… if isinstance(error, CtlError) else …``."""
    if not isinstance(node, ast.IfExp) or not isinstance(node.test, ast.Call) or len(node.test.args) != 2:
        return False
    return {item.id for item in ast.walk(node.test.args[1]) if isinstance(item, ast.Name)} <= OUR_ERRORS


def _is_log(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in (
        "debug", "info", "warning", "error", "critical", "exception", "_malformed", "_complain"
    )  # fmt: skip


def _is_name(node: ast.AST, name: str | None) -> bool:
    return isinstance(node, ast.Name) and node.id == name


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-3:]))
def test_no_handler_passes_on_the_text_of_a_librarys_error(path: Path) -> None:
    wrong = [f"line {item.lineno}: {sorted(caught(item) - OUR_ERRORS)}" for item in handlers(path)
             if is_said(item) and not caught(item) <= OUR_ERRORS]  # fmt: skip
    assert wrong == []


def test_our_errors_are_those_that_there_are() -> None:
    def below(kind: type[CapfError]) -> set[str]:
        return {kind.__name__} | {name for child in kind.__subclasses__() for name in below(child)}

    assert below(CapfError) <= OUR_ERRORS
