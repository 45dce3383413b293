# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CAPF certificate, and the trusted issuers of MICs (R1, R3)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from capf.administration import renewal
from capf.administration.requests import read
from capf.api.authentication import Actor, RunningNode
from capf.api.certificates_shapes import (
    CapfCertificateChange,
    CapfCertificates,
    CapfCertificatesChanged,
    CapfTrustChange,
    ManufacturingCas,
    ManufacturingCasChange,
    ManufacturingCasChanged,
)
from capf.model import InvalidRequestError, Problem
from capf.registry import capf_certificate, manufacturing

router = APIRouter(tags=["certificates"])


@router.get("/capf-certificate", response_model=CapfCertificates)
async def show(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the CAPF certificates, each with the number of active LSCs that it has issued."""
    return await read(node, capf_certificate.overview)


@router.put("/capf-certificate", response_model=CapfCertificatesChanged)
async def renew(wanted: CapfCertificateChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Prepare the next CAPF certificate, or activate it, which restarts a running CAPF service."""
    asked = capf_certificate.Renewal(wanted.state, wanted.renew_before_days, wanted.replaces, wanted.force)
    return asdict(await renewal.renew(node, asked, actor, dry_run=wanted.dry_run))


@router.put("/capf-certificate/trusted", response_model=CapfCertificatesChanged)
async def trust(wanted: CapfTrustChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Trust the LSCs of additional CAPF certificates, or stop trusting those of earlier ones."""
    if wanted.state == "present":
        given = manufacturing.read(_needed(wanted.certificates, "certificates", wanted.state), "certificates")
        return asdict(await renewal.trust(node, given, actor, dry_run=wanted.dry_run))
    revocation = capf_certificate.Revocation(_needed(wanted.names, "names", wanted.state), wanted.force, wanted.confirm)
    return asdict(await renewal.distrust(node, revocation, actor, dry_run=wanted.dry_run))


def _needed(given: list[str] | None, field: str, state: str) -> list[str]:
    """Return the list that a state requires; InvalidRequestError if it is missing."""
    if given is None:
        raise InvalidRequestError([Problem(field, "", f"this field is required with the state {state}")])
    return given


@router.get("/manufacturing-cas", response_model=ManufacturingCas)
async def show_manufacturing(_unused: Actor, node: RunningNode) -> dict[str, Any]:
    """Show the trusted issuers of MICs."""
    trusted = node.context.authority.mic_issuers
    return {
        "trusted": [manufacturing.show(item) for item in trusted],
        "warnings": manufacturing.warnings(trusted, node.context.now),
    }


@router.put("/manufacturing-cas", response_model=ManufacturingCasChanged)
async def set_manufacturing(wanted: ManufacturingCasChange, actor: Actor, node: RunningNode) -> dict[str, Any]:
    """Trust issuers of MICs, or stop trusting them; new sessions use the change immediately."""
    given = manufacturing.read(wanted.certificates, "certificates")
    return asdict(await renewal.set_manufacturing(node, given, wanted.state, actor, dry_run=wanted.dry_run))
