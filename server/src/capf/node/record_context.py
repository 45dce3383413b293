# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the context of the rules from a node's settings and state directory."""

from __future__ import annotations

import time

from capf.node.node_settings import NodeSettings
from capf.node.state import Loaded, StateDirectory
from capf.registry.context import Context, Policy


def make(settings: NodeSettings, directory: StateDirectory, loaded: Loaded) -> Context:
    """Return the context of the rules on this node, with the keys that were loaded."""
    return Context(
        authority=loaded.authority,
        secrets=loaded.secrets,
        clock=time.time,
        first_node=settings.first_node,
        trace_directory=directory.trace,
        token_directory=directory.tokens,
        node_name=settings.node_name,
        policy=Policy(
            settings.allow_expired_mic,
            settings.allow_sha1_mic,
            settings.require_sudi,
            settings.lock_seconds,
            settings.tries_per_operation,
            settings.wrong_strings_per_day,
        ),
        own_files=settings.own_directory,
        capf_servers=settings.capf_servers,
        faults=loaded.faults,
    )
