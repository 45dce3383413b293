# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF certificate is renewed by one playbook, in the safe order (P30)."""

from __future__ import annotations

from capf.certificates import authority, ctl
from integration.conftest import MakeWorld
from integration.test_playbooks import A, B, enrol, phones
from support.playbooks import playbook


def test_p30_the_capf_certificate_is_renewed_in_the_safe_order(make_world: MakeWorld) -> None:
    node, lab = make_world(phones(A, B))
    for name in (A, B):
        lab.flash(name).delete_ctl()
    status, output = playbook(node, "update_ctl", update_ctl_reset=[A, B])
    assert status == 0, output
    enrol(node, lab, A, B)
    old = node.ok("GET", "/capf-certificate")["current"]["common_name"]
    given = {
        "renew_capf_replaces": old,
        "renew_capf_pause": 5,
        "lsc_rollout_wave_seconds": 90,
        "renew_capf_distrust": True,
    }
    status, output = playbook(node, "renew_capf_certificate", **given)
    assert status == 0 and "it has issued 2 active LSCs, and earlier certificates have issued 0" in output, output
    new = node.ok("GET", "/capf-certificate")
    assert new["current"]["common_name"] != old and new["next"] is None and new["trusted"] == []
    for name in (A, B):
        assert node.phone(name)["lsc_issued_by"].startswith(f"CN={new['current']['common_name']}")
        held = lab.flash(name).ctl
        assert held is not None
        listed = [authority.common_name(item) for item in ctl.read(held).certificates(ctl.Role.CAPF)]
        assert new["current"]["common_name"] in listed
