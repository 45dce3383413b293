# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each site has its own file of authentication strings."""

from __future__ import annotations

import pytest
from ansible_collections.ucm.capf.plugins.module_utils._strings import file_of


@pytest.mark.parametrize(("site", "name"), [("Berlin", "Berlin.csv"), ("", "no-site.csv"), ("a.b_c-1", "a.b_c-1.csv")])
def test_a_plain_name_is_the_name_of_the_file(site: str, name: str) -> None:
    assert file_of(site) == name


def test_sites_that_differ_only_in_replaced_characters_have_separate_files() -> None:
    sites = ["Floor 1", "Floor/1", "Floor_1", "no-site", "", "x" * 101, "x" * 102, "../etc"]
    names = [file_of(site) for site in sites]
    assert len(set(names)) == len(sites)
    assert all("/" not in name and len(name) <= 120 for name in names)
