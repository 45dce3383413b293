# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The settings of the server's configuration file: the one table from which it is read (P24).

The role's template, variables and documentation are made from it. To add a setting, add a field to ``NodeSettings``
and run ``scripts/generate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, get_type_hints

from capf.node.node_setting import NodeKind, NodeSetting
from capf.phone_files.cnf_xml import MAXIMUM_SERVERS

_MAXIMUM_PORT = 65535
_MAXIMUM_PLACES = 100000


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """All settings; changes take effect when the process restarts."""

    state_directory: Annotated[
        Path,
        NodeSetting(
            "server",
            NodeKind.PATH,
            None,
            (
                "Directory for the keys, the certificates and the database. With V(systemd), it belongs to the"
                " service user, the directories above it belong to root, and it must not be a link.",
                "It must not contain links, except in C(own). If it contains others, the role lists them and fails.",
            ),
        ),
    ]
    first_node: Annotated[
        bool,
        NodeSetting(
            "server",
            NodeKind.FLAG,
            True,
            ("Whether this is the first node. CAPF can only be activated on the first node.",),
        ),
    ]
    node_name: Annotated[
        str,
        NodeSetting(
            "server",
            NodeKind.TEXT,
            "127.0.0.1",
            (
                "Host name or IP address that phones use to reach this node. It is written to their"
                " configuration files.",
            ),
        ),
    ]
    database: Annotated[
        str,
        NodeSetting(
            "server",
            NodeKind.TEXT,
            "sqlite:///{state_directory}/capf.db",
            (
                "URL of an existing PostgreSQL database, such as C(postgresql+psycopg://capf:secret@db1/capf)."
                " It is a secret.",
                "Empty means an SQLite database in the state directory.",
            ),
        ),
    ]
    administration_addresses: Annotated[
        tuple[str, ...],
        NodeSetting(
            "administration",
            NodeKind.ADDRESSES,
            ("127.0.0.1",),
            (
                "Addresses on which the administration API listens. By default, only the node itself can reach it.",
                "Set the node's own address (or V(0.0.0.0)) if the control node or another node administers it"
                " over the network.",
            ),
            minimum=1,
        ),
    ]
    administration_port: Annotated[
        int,
        NodeSetting(
            "administration",
            NodeKind.NUMBER,
            8443,
            ("TCP port of the administration API.",),
            minimum=1,
            maximum=_MAXIMUM_PORT,
        ),
    ]
    administration_maximum_connections: Annotated[
        int,
        NodeSetting(
            "administration",
            NodeKind.NUMBER,
            1000,
            (
                "Maximum number of connections to the administration port, from 10 to 100000. When it is"
                " reached, the server closes the connection that has been idle longest, but never one that waits"
                " for an answer.",
            ),
            minimum=10,
            maximum=_MAXIMUM_PLACES,
        ),
    ]
    administration_maximum_connections_per_address: Annotated[
        int,
        NodeSetting(
            "administration",
            NodeKind.NUMBER,
            None,
            (
                "Maximum number of connections from one IPv4 address or IPv6 /64 network. The default is half"
                " of the total.",
            ),
            half_of="administration_maximum_connections",
            minimum=1,
            maximum=_MAXIMUM_PLACES,
        ),
    ]
    administration_monitors: Annotated[
        tuple[str, ...],
        NodeSetting(
            "administration",
            NodeKind.NETWORKS,
            ("127.0.0.1", "::1"),
            (
                "Addresses and networks, such as V(192.0.2.0/24), that may read C(/metrics) and"
                " C(/openapi.json) without logging in.",
                "The administrator can read them from any address.",
            ),
        ),
    ]
    capf_addresses: Annotated[
        tuple[str, ...],
        NodeSetting(
            "capf",
            NodeKind.ADDRESSES,
            ("0.0.0.0",),  # noqa: S104 - phones are everywhere
            ("IPv4 addresses of the CAPF service. Its port is the enterprise parameter CAPF Phone Port.",),
        ),
    ]
    capf_addresses_ipv6: Annotated[
        tuple[str, ...],
        NodeSetting(
            "capf",
            NodeKind.ADDRESSES,
            ("::",),
            ("IPv6 addresses of the CAPF service, used while the enterprise parameter Enable IPv6 is True.",),
        ),
    ]
    maximum_sessions: Annotated[
        int,
        NodeSetting(
            "capf",
            NodeKind.NUMBER,
            10000,
            (
                "Maximum number of phones connected to CAPF, from 1 to 100000. When it is reached, the server"
                " closes the connection that has been idle longest, but never that of a phone that was admitted"
                " to its operation.",
            ),
            minimum=1,
            maximum=_MAXIMUM_PLACES,
        ),
    ]
    maximum_sessions_per_address: Annotated[
        int,
        NodeSetting(
            "capf",
            NodeKind.NUMBER,
            None,
            (
                "Maximum number of sessions from one IPv4 address or IPv6 /64 network; phones behind a NAT"
                " share an address. The default is half of O(capf_server_maximum_sessions), so that one address"
                " cannot block all others.",
            ),
            half_of="maximum_sessions",
            minimum=1,
            maximum=_MAXIMUM_PLACES,
        ),
    ]
    maximum_sessions_per_device: Annotated[
        int,
        NodeSetting(
            "capf",
            NodeKind.NUMBER,
            8,
            (
                "Maximum number of concurrent sessions with the same device name, from 1 to 1000. A phone"
                " retries every 30 seconds.",
            ),
            minimum=1,
            maximum=1000,
        ),
    ]
    handshake_seconds: Annotated[
        int,
        NodeSetting(
            "capf",
            NodeKind.NUMBER,
            10,
            ("Maximum duration of a phone's TLS handshake, from 1 to 120 seconds.",),
            minimum=1,
            maximum=120,
        ),
    ]
    authentication_seconds: Annotated[
        int,
        NodeSetting(
            "capf",
            NodeKind.NUMBER,
            30,
            ("Maximum time for a phone to authenticate, from 1 to 600 seconds.",),
            minimum=1,
            maximum=600,
        ),
    ]
    drain_seconds: Annotated[
        int,
        NodeSetting(
            "capf",
            NodeKind.NUMBER,
            10,
            ("Time for open sessions to finish when the server or the CAPF service stops, from 0 to 600 seconds.",),
            maximum=600,
        ),
    ]
    allow_tls_1_0: Annotated[
        bool,
        NodeSetting(
            "capf",
            NodeKind.FLAG,
            False,
            ("Accept TLS 1.0 and 1.1 on the CAPF port, for old phones. The API always requires at least TLS 1.2.",),
        ),
    ]
    allow_expired_mic: Annotated[
        bool,
        NodeSetting(
            "authentication",
            NodeKind.FLAG,
            False,
            ("Accept expired MICs.",),
        ),
    ]
    allow_sha1_mic: Annotated[
        bool,
        NodeSetting(
            "authentication",
            NodeKind.FLAG,
            False,
            ("Accept MICs that are signed with SHA-1.",),
        ),
    ]
    require_sudi: Annotated[
        bool,
        NodeSetting(
            "authentication",
            NodeKind.FLAG,
            False,
            ("Require SUDI data from phones that authenticate by certificate.",),
        ),
    ]
    lock_seconds: Annotated[
        int,
        NodeSetting(
            "authentication",
            NodeKind.NUMBER,
            600,
            (
                "Time in seconds for which an address is locked after ten wrong authentication strings for one"
                " phone, from 1 to 86400. Each later lock for the same phone lasts twice as long as the previous"
                " one, up to a day.",
                "An address is an IPv4 address or an IPv6 /64 network. The phone is not locked for other addresses.",
            ),
            minimum=1,
            maximum=86400,
        ),
    ]
    tries_per_operation: Annotated[
        int,
        NodeSetting(
            "authentication",
            NodeKind.NUMBER,
            100,
            (
                "Maximum number of wrong authentication strings from one address for one operation, from 1 to 10000.",
                "An address that has reached the limit is refused until the operation has ended, and for at"
                " least ten days.",
            ),
            minimum=1,
            maximum=10000,
        ),
    ]
    wrong_strings_per_day: Annotated[
        int,
        NodeSetting(
            "authentication",
            NodeKind.NUMBER,
            200,
            (
                "Maximum number of wrong authentication strings from one address for all phones in any 24"
                " hours, from 1 to 100000.",
                "An address that has reached the limit is refused for all phones that authenticate by string,"
                " until the oldest of its wrong strings is a day old. Raise the limit if many phones share one"
                " address behind a NAT and their users enter strings of 8 digits; one wrong string per phone and"
                " day is plenty.",
            ),
            minimum=1,
            maximum=100000,
        ),
    ]
    files_enabled: Annotated[
        bool,
        NodeSetting(
            "files",
            NodeKind.FLAG,
            True,
            ("Serve CTL and configuration files to phones.",),
        ),
    ]
    files_addresses: Annotated[
        tuple[str, ...],
        NodeSetting(
            "files",
            NodeKind.ADDRESSES,
            ("0.0.0.0",),  # noqa: S104 - phones are everywhere
            ("Addresses on which the server serves files to phones.",),
        ),
    ]
    files_port: Annotated[
        int,
        NodeSetting(
            "files",
            NodeKind.NUMBER,
            6970,
            ("TCP port on which the server serves files to phones.",),
            minimum=1,
            maximum=_MAXIMUM_PORT,
        ),
    ]
    files_maximum_connections: Annotated[
        int,
        NodeSetting(
            "files",
            NodeKind.NUMBER,
            4000,
            (
                "Maximum number of connections to that port, from 10 to 100000. When it is reached, the server"
                " closes the connection that has been idle longest.",
            ),
            minimum=10,
            maximum=_MAXIMUM_PLACES,
        ),
    ]
    files_maximum_connections_per_address: Annotated[
        int,
        NodeSetting(
            "files",
            NodeKind.NUMBER,
            None,
            (
                "Maximum number of connections from one IPv4 address or IPv6 /64 network. The default is half"
                " of the total.",
            ),
            half_of="files_maximum_connections",
            minimum=1,
            maximum=_MAXIMUM_PLACES,
        ),
    ]
    own_directory: Annotated[
        Path,
        NodeSetting(
            "files",
            NodeKind.PATH,
            "{state_directory}/own",
            (
                "Directory of the administrator's own configuration files for phones, each named C(<device"
                " name>.cnf.xml). The server adds the CAPF settings to them and serves everything else"
                " unchanged. C(XMLDefault.cnf.xml), for phones that are not registered, is served as it is.",
            ),
        ),
    ]
    tftp_directory: Annotated[
        Path | None,
        NodeSetting(
            "files",
            NodeKind.PATH,
            "",
            (
                "Directory of the TFTP server. Files that the CAPF server did not write are left alone.",
                "It belongs to the service user, the directories above it belong to root, and it must not be a link.",
            ),
        ),
    ]
    capf_servers: Annotated[
        tuple[str, ...],
        NodeSetting(
            "files",
            NodeKind.TEXTS,
            (),
            (
                "Host names or IP addresses of the CAPF servers that phones try one after the other, at most"
                " five. Empty means only this node.",
            ),
            maximum=MAXIMUM_SERVERS,
        ),
    ]
    reset_command: Annotated[
        tuple[str, ...],
        NodeSetting(
            "reset",
            NodeKind.TEXTS,
            (),
            (
                "The command with which the call processor resets phones, one argument per element.",
                "C({name}) is replaced by one device name, C({names}) by several. Without a command, phones are"
                " not reset.",
            ),
        ),
    ]
    reset_parallel: Annotated[
        int,
        NodeSetting(
            "reset",
            NodeKind.NUMBER,
            10,
            ("Maximum number of reset commands that run at the same time.",),
            minimum=1,
            maximum=1000,
        ),
    ]
    reset_seconds: Annotated[
        int,
        NodeSetting(
            "reset",
            NodeKind.NUMBER,
            60,
            ("Maximum duration of one reset command, from 1 to 3600 seconds.",),
            minimum=1,
            maximum=3600,
        ),
    ]
    registration_command: Annotated[
        tuple[str, ...],
        NodeSetting(
            "registration",
            NodeKind.TEXTS,
            (),
            (
                "The command that prints which phones are not registered with call processing, one argument per"
                " element; it gets device names as further arguments and prints one name a line.",
                "In a rolling rollout, a phone is done when it has its LSC and is registered again. Without a command,"
                " registration is not checked.",
            ),
        ),
    ]
    registration_interval: Annotated[
        int,
        NodeSetting(
            "registration",
            NodeKind.NUMBER,
            10,
            ("Seconds between two checks whether phones are registered; a check may last as long, at least a minute.",),
            minimum=1,
            maximum=3600,
        ),
    ]


@cache
def described() -> Mapping[str, NodeSetting]:
    """Return the definition of each setting by name, in the order in which they are read."""
    hints = get_type_hints(NodeSettings, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}
