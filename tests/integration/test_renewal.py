"""Renewal of the CAPF certificate: the new one issues, LSCs of the old one still authenticate (P30)."""

from __future__ import annotations

import subprocess

from integration.conftest import MakeWorld
from support.node import CAPF

A = "SEP00000000000A"


def test_p30_a_renewed_capf_issues_and_still_knows_the_lscs_of_the_old_one(make_world: MakeWorld) -> None:
    mode = {"authentication_mode": "By Existing Certificate (precedence to LSC)", "key_order": "EC Only"}
    node, lab = make_world([{"device_name": A, "mic": True, "ec_key_size": 256, **mode}])
    node.schedule(A)
    lab.reset(A)
    node.wait(A)
    old = node.ok("GET", "/service")["capf_certificate"]["common_name"]
    assert node.phone(A)["lsc_issued_by"].startswith(f"CN={old}")
    node.stop()
    subprocess.run([CAPF, "renew-certificate", "--config", node.config], check=True, capture_output=True)
    node.start()
    lab.stop()
    lab.start(node)
    new = node.ok("GET", "/service")["capf_certificate"]["common_name"]
    assert new != old
    assert node.schedule(A)["results"][0]["reason"] == "LSC of another issuer"
    lab.reset(A)
    assert node.wait(A)["by_status"] == {"Upgrade Success": 1}
    assert node.phone(A)["lsc_issued_by"].startswith(f"CN={new}")
    verify = ["openssl", "verify", "-CAfile", node.capf_certificate, lab.directory / "phones" / A / "lsc.pem"]
    subprocess.run(verify, check=True, capture_output=True)
