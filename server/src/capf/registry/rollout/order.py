# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of the phones and their division into waves: no site loses all its phones at once (R16)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence


def spread(names: Sequence[str], site_of: Mapping[str, str]) -> list[str]:
    """Return the phones in an order in which each part of the list has the same share of every site. Within a site,
    they keep the order of ``names``."""
    sizes = Counter(site_of[name] for name in names)
    seen: Counter[str] = Counter()
    places = []
    for name in names:
        site = site_of[name]
        places.append(((seen[site] + 0.5) / sizes[site], site, name))
        seen[site] += 1
    return [name for _place, _site, name in sorted(places)]


def cut(
    ordered: Sequence[str], site_of: Mapping[str, str], site_sizes: Mapping[str, int], pilot: int, size: int
) -> list[list[str]]:
    """Divide the phones into a pilot wave (unless ``pilot`` is 0) and waves of at most ``size``.

    A wave takes at most half of the phones that a site has (``site_sizes``); phones without a site are not counted.
    Phones that do not fit lead the next wave.
    """
    most = {site: math.ceil(count / 2) if site else len(ordered) for site, count in site_sizes.items()}
    waves: list[list[str]] = []
    left = list(ordered)
    while left:
        room = pilot if pilot and not waves else size
        taken: Counter[str] = Counter()
        wave: list[str] = []
        later: list[str] = []
        for at, name in enumerate(left):
            if len(wave) == room:
                later += left[at:]
                break
            site = site_of[name]
            if taken[site] < most[site]:
                taken[site] += 1
                wave.append(name)
            else:
                later.append(name)
        waves.append(wave)
        left = later
    return waves
