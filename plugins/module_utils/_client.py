# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client for the server's administration API, and the one error that it raises."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import ssl
import typing as t
from http.client import HTTPException
from ipaddress import IPv6Address
from urllib.error import HTTPError, URLError

from ansible.module_utils.common.text.converters import to_text
from ansible.module_utils.urls import open_url

from ._paths import absolute

_SHOWN_PROBLEMS = 5
_PIECE = 1 << 16
_UNAVAILABLE = 503
_NAME = re.compile(r"[\w.-]{1,253}")
_PORTS = range(1, 65536)
_SECONDS = range(1, 86401)
_LOCAL = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
_UNTRUSTED = (
    "its certificate is not trusted; set ca_path (or CAPF_CA_PATH) to the certificate of this server: the file"
    " administration.crt in the directory capf_server_certificates of ucm.capf.deploy, or on the node itself"
    " /etc/capf/capf-administration.crt"
)
_TLS_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


class CapfError(Exception):
    """A request that failed; C(problems) lists field, value and message of each problem, if the server reports them.

    The text of the error is C(summary) and the first problems.
    C(unavailable) is true if the server or its database cannot be reached, so that the same request may succeed later.
    C(code) is the server's code for the kind of error, and C(details) has the data that belongs to it.
    """

    def __init__(
        self,
        message: str,
        problems: list[dict[str, str]] | None = None,
        unavailable: bool = False,
        code: str = "",
        details: dict[str, t.Any] | None = None,
    ) -> None:
        self.problems = problems or []
        super().__init__(describe(message, self.problems))
        self.summary = message
        self.unavailable = unavailable
        self.code = code
        self.details = details or {}

    def located(self, problems: list[dict[str, str]]) -> CapfError:
        """Return the same error with problems whose fields name other places, such as lines of a file."""
        return CapfError(self.summary, problems, self.unavailable, self.code, self.details)


class Downloaded(t.NamedTuple):
    """A downloaded file: its size in bytes, its SHA-256 in hex, and the headers of the answer."""

    size: int
    sha256: str
    headers: t.Mapping[str, str]


class Client:
    """A client for one server, made from a module's parameters; CapfError if one of them is invalid."""

    def __init__(self, params: dict[str, t.Any]) -> None:
        problems = _wrong_options(params)
        if problems:
            raise CapfError("The server was not asked", problems)
        self._params = params
        host = params["host"]
        self._base = "https://{}:{}/api/v1".format(f"[{host}]" if ":" in host else host, params["port"])

    def get(self, path: str) -> dict[str, t.Any]:
        """Return the answer to a GET request."""
        return self._json(self._read(self._open("GET", path, None, 0)))

    def send(self, method: str, path: str, body: dict[str, t.Any], extra_seconds: int = 0) -> dict[str, t.Any]:
        """Return the answer to a request with a JSON body; CapfError if it is refused."""
        return self._json(self._read(self._open(method, path, body, extra_seconds)))

    def text(self, path: str) -> str:
        """Return the answer to a GET request as text."""
        return to_text(self._read(self._open("GET", path, None, 0)))

    def download(
        self, path: str, body: dict[str, t.Any] | None, handle: t.BinaryIO, extra_seconds: int = 0
    ) -> Downloaded:
        """Write the answer to a file in chunks, whatever its size, and return its size and digest.

        Without a body it is a GET request. CapfError if the data does not match the headers.
        """
        digest, size = hashlib.sha256(), 0
        answer = self._open("GET" if body is None else "POST", path, body, extra_seconds)
        while True:
            piece = self._read(answer, _PIECE)
            if not piece:
                return _checked(answer.headers, size, digest)
            digest.update(piece)
            size += len(piece)
            try:
                handle.write(piece)
            except OSError as error:
                raise CapfError(f"the answer cannot be written: {error.strerror}") from None

    def _read(self, answer: t.Any, most: int | None = None) -> bytes:
        try:
            return t.cast("bytes", answer.read(most))
        except (HTTPException, OSError) as error:
            message = f"the answer from {self._base} ended early: {_why(error)}"
            raise CapfError(message, unavailable=True) from None

    def _json(self, data: bytes) -> dict[str, t.Any]:
        try:
            answer = json.loads(data)
        except ValueError:
            raise CapfError(f"{self._base} does not answer as a CAPF server does") from None
        return t.cast("dict[str, t.Any]", answer)

    def _open(self, method: str, path: str, body: dict[str, t.Any] | None, extra_seconds: int) -> t.Any:
        params = self._params
        try:
            return open_url(
                self._base + path,
                data=None if body is None else json.dumps(body),
                headers={"Content-Type": "application/json"},
                method=method,
                url_username=params["administrator"],
                url_password=params["password"],
                force_basic_auth=True,
                validate_certs=params["validate_certs"],
                ca_path=params["ca_path"],
                timeout=params["timeout"] + extra_seconds,
                use_proxy=False,
            )
        except HTTPError as error:
            raise _refusal(error.code, error.read()) from None
        except Exception as error:  # open_url raises errors of many kinds when it cannot connect
            reason = error.reason if isinstance(error, URLError) else error
            message = f"the CAPF server {self._base} cannot be reached: {_why(reason)}"
            raise CapfError(message, unavailable=_may_pass(reason)) from None


def _checked(headers: t.Mapping[str, str], size: int, digest: t.Any) -> Downloaded:
    """Return what was downloaded; CapfError if its length or digest differs from the headers (RFC 9530)."""
    said = headers.get("Repr-Digest")
    own = f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    if headers.get("Content-Length", str(size)) != str(size) or said not in (None, own):
        raise CapfError("the answer was damaged in transit", unavailable=True)
    return Downloaded(size, digest.hexdigest(), headers)


def _wrong_options(params: dict[str, t.Any]) -> list[dict[str, str]]:
    """Return the field, the value and the message for each invalid connection option."""
    ca_path = absolute(params["ca_path"]) if params["ca_path"] else None
    shown = dict(params, ca_path=ca_path)
    faults = {
        "host": "" if _is_host(params["host"]) else "is refused; allowed: a host name or an IP address, not a URL",
        "port": "" if params["port"] in _PORTS else f"is refused; allowed: a whole number from 1 to {_PORTS[-1]}",
        "timeout": ""
        if params["timeout"] in _SECONDS
        else f"is refused; allowed: a whole number of seconds from 1 to {_SECONDS[-1]}",
        "ca_path": _fault_of_certificates(ca_path) if ca_path and params["validate_certs"] else "",
    }
    return [
        {"field": name, "value": str(shown[name]), "message": f"{str(shown[name])!r} {fault}"}
        for name, fault in faults.items()
        if fault
    ]


def _is_host(text: str) -> bool:
    if ":" not in text:
        return _NAME.fullmatch(text) is not None
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def _fault_of_certificates(path: str) -> str:
    """Return why a file of CA certificates cannot be used, empty if it can."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        return "contains no certificate in PEM; give the file with the certificate of the server or of its CA"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""


def _why(reason: object) -> str:
    """Return the reason for the missing answer: the text of the operating system, or one for the kind of error."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _UNTRUSTED
    if isinstance(reason, ssl.SSLError):
        return "the TLS connection failed or was cut off"
    if isinstance(reason, TimeoutError):
        return "it did not answer in time; check host and port, or raise timeout"
    strerror = getattr(reason, "strerror", None)
    if strerror:
        return str(strerror)
    return "the program on that port is not a CAPF server, or the connection was closed; check host and port"


def _may_pass(reason: object) -> bool:
    """Return whether the same request may succeed later: after a network failure, not one of trust or files."""
    if isinstance(reason, ssl.SSLError):
        return isinstance(reason, _TLS_CUT)
    return isinstance(reason, (OSError, HTTPException)) and not isinstance(reason, _LOCAL)


def _refusal(status: int, data: bytes) -> CapfError:
    try:
        error = json.loads(data)["error"]
    except (ValueError, KeyError, TypeError):
        return CapfError(f"the server answered with HTTP status {status}")
    unavailable = status == _UNAVAILABLE
    return CapfError(error["message"], error.get("problems"), unavailable, error.get("code", ""), error.get("details"))


def describe(message: str, problems: list[dict[str, str]]) -> str:
    """Return a message with the field and the message of each of the first problems."""
    shown = ["{field}: {message}".format(**problem) for problem in problems[:_SHOWN_PROBLEMS]]
    more = len(problems) - len(shown)
    return ". ".join([message] + shown + ([f"and {more} more"] if more else []))
