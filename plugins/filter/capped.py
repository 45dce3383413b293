# Copyright (c) The ucm.capf founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: capped
short_description: Show the first items of a list and the number of the others
version_added: 0.1.0
description:
  - Returns the first items of a list as text, and the number of the rest, so that the output of a playbook stays
    short however many phones there are.
author:
  - The ucm.capf founders (@ucm-capf)
positional: most, where
options:
  _input:
    description: The list.
    type: list
    elements: str
    required: true
  most:
    description: How many items to show.
    type: int
    default: 10
  where:
    description: Where all of them can be seen, such as the name of a report.
    type: str
    default: ""
  separator:
    description: The text between two items.
    type: str
    default: ", "
"""

EXAMPLES = r"""
- name: Show the phones that failed
  ansible.builtin.debug:
    msg: "{{ result.failed_phones | map(attribute='device_name') | ucm.capf.capped(10, 'capf-report.csv') }}"
"""

RETURN = r"""
_value:
  description: The first items and the number of the others, such as V(SEP001122334455, SEP001122334466 and 1,962 more).
  type: str
"""

import typing as t


def capped(items: t.Iterable[t.Any], most: int = 10, where: str = "", separator: str = ", ") -> str:
    """Return the first items of a list as text, and the number of the rest."""
    known = list(items)
    text = separator.join(map(str, known[:most]))
    if len(known) <= most:
        return text
    more = f"{len(known) - most:,} more{' in ' + where if where else ''}"
    return f"{text}{separator}… and {more}" if separator != ", " else f"{text} and {more}"


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"capped": capped}
