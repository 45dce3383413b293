# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests and answers about certificates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool

from capf.api.shapes import CapfCertificate, ChangeRequest, Confirmed, Name

_Pem = Annotated[str, Field(max_length=1_000_000)]
_GIVEN = Field(min_length=1, max_length=1000)


class CapfCertificates(BaseModel):
    """The state of a CAPF certificate: it issues LSCs, is the next one, or its LSCs are still trusted."""

    current: CapfCertificate
    next: CapfCertificate | None
    trusted: list[CapfCertificate]


class CapfCertificateChange(ChangeRequest):
    """A step of the renewal: prepare, activate or discard the next certificate."""

    state: Literal["prepared", "active", "discarded"]
    renew_before_days: Annotated[int, Field(ge=0, le=36500)] | None = None
    replaces: Name | None = None
    force: StrictBool = False


class CapfTrustChange(ChangeRequest):
    """Earlier CAPF certificates to trust, as PEM, and those to stop trusting, by common name."""

    state: Literal["present", "absent"]
    certificates: Annotated[list[_Pem], _GIVEN] | None = None
    names: Annotated[list[Name], _GIVEN] | None = None
    force: StrictBool = False
    confirm: Confirmed = None


class CertificateNames(BaseModel):
    """The CAPF certificates by their common names."""

    current: str
    next: str
    trusted: list[str]


class CapfCertificatesChanged(BaseModel):
    """The changes to the CAPF certificates."""

    changed: bool
    before: CertificateNames
    after: CertificateNames
    warnings: list[str]


class ManufacturingCa(BaseModel):
    """A trusted issuer of MICs."""

    subject: str
    issuer: str
    serial_number: str
    not_before: str
    not_after: str
    signature_hash: str
    sha256: str
    pem: str


class ManufacturingCas(BaseModel):
    """All trusted issuers of MICs."""

    trusted: list[ManufacturingCa]
    warnings: list[str]


class ManufacturingCasChange(ChangeRequest):
    """Issuers of MICs to trust, to stop trusting, or to trust exclusively."""

    state: Literal["present", "absent", "exact"] = "present"
    certificates: Annotated[list[_Pem], _GIVEN]


class ManufacturingCasChanged(BaseModel):
    """The trusted issuers before and after: subjects by SHA-256 fingerprint."""

    changed: bool
    before: dict[str, str]
    after: dict[str, str]
    warnings: list[str]
