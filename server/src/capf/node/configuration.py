"""The server's configuration: a TOML file becomes frozen settings, or one error that lists all problems."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capf.model import InvalidRequestError, Problem, not_allowed
from capf.phone_files.cnf_xml import MAXIMUM_SERVERS

_MAXIMUM_PORT = 65535
_MAXIMUM_PLACES = 100000


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """All settings; they take effect when the process restarts."""

    state_directory: Path
    first_node: bool
    node_name: str
    database: str
    administration_addresses: tuple[str, ...]
    administration_port: int
    administration_maximum_connections: int
    administration_maximum_connections_per_address: int
    administration_monitors: tuple[str, ...]
    capf_addresses: tuple[str, ...]
    capf_addresses_ipv6: tuple[str, ...]
    maximum_sessions: int
    maximum_sessions_per_address: int
    maximum_sessions_per_device: int
    handshake_seconds: int
    authentication_seconds: int
    drain_seconds: int
    files_enabled: bool
    files_addresses: tuple[str, ...]
    files_port: int
    files_maximum_connections: int
    files_maximum_connections_per_address: int
    own_directory: Path
    tftp_directory: Path | None
    capf_servers: tuple[str, ...]
    allow_tls_1_0: bool
    allow_expired_mic: bool
    allow_sha1_mic: bool
    require_sudi: bool
    lock_seconds: int
    tries_per_operation: int
    wrong_strings_per_day: int
    reset_command: tuple[str, ...]
    reset_parallel: int
    reset_seconds: int


class _Table:
    """Reads one table of the file and collects its problems."""

    def __init__(self, document: Mapping[str, Any], name: str, problems: list[Problem]) -> None:
        table = document.get(name, {})
        self._name = name
        self._problems = problems
        self._left = dict(table) if isinstance(table, dict) else {}
        if not isinstance(table, dict):
            self._wrong("", table, "a table")

    def _wrong(self, key: str, value: object, allowed: str) -> None:
        self._problems.append(not_allowed(f"{self._name}.{key}".rstrip("."), str(value), allowed))

    def text(self, key: str, default: str | None = None) -> str:
        """Take a text, which must not be empty unless its default is."""
        value = self._left.pop(key, default)
        if isinstance(value, str) and (value or default == ""):
            return value
        self._wrong(key, value, "a text")
        return ""

    def number(self, key: str, default: int, minimum: int, maximum: int) -> int:
        """Take a whole number within bounds."""
        value = self._left.pop(key, default)
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        self._wrong(key, value, f"a whole number from {minimum} to {maximum}")
        return default

    def flag(self, key: str, default: bool) -> bool:
        """Take true or false."""
        value = self._left.pop(key, default)
        if isinstance(value, bool):
            return value
        self._wrong(key, value, "true or false")
        return default

    def texts(self, key: str, default: tuple[str, ...], most: int | None = None) -> tuple[str, ...]:
        """Take a list of texts, of at most ``most``."""
        value = self._left.pop(key, list(default))
        if (
            isinstance(value, list)
            and all(isinstance(item, str) for item in value)
            and len(value) <= (most or len(value))
        ):
            return tuple(value)
        self._wrong(key, value, "a list of texts" if most is None else f"a list of at most {most} texts")
        return default

    def addresses(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Take a list of IP addresses."""
        values = self.texts(key, default)
        for value in values:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                self._wrong(key, value, "IPv4 or IPv6 addresses")
        return values

    def networks(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Take a list of IP addresses and networks."""
        values = self.texts(key, default)
        for value in values:
            try:
                ipaddress.ip_network(value, strict=False)
            except ValueError:
                self._wrong(key, value, "IPv4 or IPv6 addresses or networks, such as 192.0.2.0/24")
        return values

    def places(self, name: str, default: int, least: int) -> tuple[int, int]:
        """Take two numbers: the maximum in total, and the maximum per address, which defaults to half of the total."""
        places = self.number(f"maximum_{name}", default, least, _MAXIMUM_PLACES)
        half = max(1, places // 2)
        return places, self.number(f"maximum_{name}_per_address", half, 1, _MAXIMUM_PLACES)

    def end(self) -> None:
        """Report every unknown key."""
        for key, value in self._left.items():
            message = "there is no such setting; correct its name, or remove it"
            self._problems.append(Problem(f"{self._name}.{key}", str(value), message))


def _place(error: tomllib.TOMLDecodeError) -> str:
    """Return where the file stops being valid TOML, empty if that is unknown."""
    found = re.search(r"line \d+, column \d+", str(error))
    return f" at {found[0]}" if found else ""


def parse(text: str) -> NodeSettings:
    """Return the settings of a TOML text; InvalidRequestError with all problems at once."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequestError([Problem("file", "", f"not valid TOML{_place(error)}; correct the file")]) from None
    problems: list[Problem] = []
    names = ("server", "administration", "capf", "authentication", "files", "reset")
    problems += [
        Problem(name, "", f"there is no such table; the tables are {', '.join(names)}")
        for name in document
        if name not in names
    ]
    tables = {name: _Table(document, name, problems) for name in names}
    settings = _settings(tables)
    for table in tables.values():
        table.end()
    if problems:
        raise InvalidRequestError(problems)
    return settings


def _settings(tables: Mapping[str, _Table]) -> NodeSettings:
    server, administration, capf = tables["server"], tables["administration"], tables["capf"]
    authentication, files, reset = tables["authentication"], tables["files"], tables["reset"]
    directory = Path(server.text("state_directory"))
    tftp_directory = files.text("tftp_directory", "")
    sessions, sessions_per_address = capf.places("sessions", 10000, 1)
    connections, connections_per_address = administration.places("connections", 1000, 10)
    files_connections, files_connections_per_address = files.places("connections", 4000, 10)
    return NodeSettings(
        state_directory=directory,
        first_node=server.flag("first_node", True),
        node_name=server.text("node_name", "127.0.0.1"),
        database=server.text("database", f"sqlite:///{directory}/capf.db"),
        administration_addresses=administration.addresses("addresses", ("127.0.0.1",)),
        administration_port=administration.number("port", 8443, 1, _MAXIMUM_PORT),
        administration_maximum_connections=connections,
        administration_maximum_connections_per_address=connections_per_address,
        administration_monitors=administration.networks("monitors", ("127.0.0.1", "::1")),
        capf_addresses=capf.addresses("addresses", ("0.0.0.0",)),  # noqa: S104 - phones are everywhere
        capf_addresses_ipv6=capf.addresses("addresses_ipv6", ("::",)),
        maximum_sessions=sessions,
        maximum_sessions_per_address=sessions_per_address,
        maximum_sessions_per_device=capf.number("maximum_sessions_per_device", 8, 1, 1000),
        handshake_seconds=capf.number("handshake_seconds", 10, 1, 120),
        authentication_seconds=capf.number("authentication_seconds", 30, 1, 600),
        drain_seconds=capf.number("drain_seconds", 10, 0, 600),
        files_enabled=files.flag("enabled", True),
        files_addresses=files.addresses("addresses", ("0.0.0.0",)),  # noqa: S104 - phones are everywhere
        files_port=files.number("port", 6970, 1, _MAXIMUM_PORT),
        files_maximum_connections=files_connections,
        files_maximum_connections_per_address=files_connections_per_address,
        own_directory=Path(files.text("own_directory", f"{directory}/own")),
        tftp_directory=Path(tftp_directory) if tftp_directory else None,
        capf_servers=files.texts("capf_servers", (), MAXIMUM_SERVERS),
        allow_tls_1_0=capf.flag("allow_tls_1_0", False),
        allow_expired_mic=authentication.flag("allow_expired_mic", False),
        allow_sha1_mic=authentication.flag("allow_sha1_mic", False),
        require_sudi=authentication.flag("require_sudi", False),
        lock_seconds=authentication.number("lock_seconds", 600, 1, 86400),
        tries_per_operation=authentication.number("tries_per_operation", 100, 1, 10000),
        wrong_strings_per_day=authentication.number("wrong_strings_per_day", 200, 1, 100000),
        reset_command=reset.texts("command", ()),
        reset_parallel=reset.number("parallel", 10, 1, 1000),
        reset_seconds=reset.number("seconds", 60, 1, 3600),
    )


def load(path: Path) -> NodeSettings:
    """Return the settings of a file; InvalidRequestError if it cannot be read or contains an error."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror}); give a readable file"
        raise InvalidRequestError([Problem("file", str(path), message)]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"{path} line {line} is not valid UTF-8; save the file as UTF-8"
        raise InvalidRequestError([Problem("file", str(path), message)]) from None
