# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: unknown_variables
short_description: Find misspelt variables of this collection
version_added: 0.1.0
description:
  - Returns a sentence for each variable of the current host that begins with one of the given prefixes, and that no
    role or playbook of this collection knows. The sentence offers the variable with the nearest name.
  - The roles and playbooks of this collection use it to refuse such variables, so that a misspelt window is not a
    rollout without a window.
author:
  - The ucm.capf founders (@ucm-capf)
options:
  _terms:
    description: Prefixes of names, such as V(lsc_rollout_).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse unknown variables
  ansible.builtin.assert:
    that: query('ucm.capf.unknown_variables', 'lsc_rollout_') | length == 0
    fail_msg: "{{ query('ucm.capf.unknown_variables', 'lsc_rollout_') | join('; ') }}"
"""

RETURN = r"""
_raw:
  description: The sentences, sorted by name.
  type: list
  elements: str
"""

import typing as t
from difflib import get_close_matches

from ansible.plugins.lookup import LookupBase
from ansible_collections.ucm.capf.plugins.plugin_utils._variables import INTERNAL, PUBLIC

_KNOWN = frozenset(PUBLIC + INTERNAL)


def unknown(names: t.Iterable[str], prefixes: t.Sequence[str]) -> list[str]:
    """Return a sentence for each name with one of the prefixes that nothing knows."""
    wrong = sorted(name for name in names if name.startswith(tuple(prefixes)) and name not in _KNOWN)
    return [_sentence(name) for name in wrong]


def _sentence(name: str) -> str:
    nearest = get_close_matches(name, PUBLIC, 1)
    hint = f"did you mean {nearest[0]}?" if nearest else "remove it, or correct its name"
    return f"no role or playbook of ucm.capf knows the variable {name}; {hint}"


class LookupModule(LookupBase):
    """The lookup of this name."""

    def run(self, terms: list[str], variables: t.Any = None, **kwargs: t.Any) -> list[str]:
        """Return the sentences."""
        self.set_options(var_options=variables, direct=kwargs)
        return unknown(variables or {}, terms)
