# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests and answers about nodes, the CTL file and the files for phones."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, Field, StrictBool

from capf.api.shapes import ChangeRequest, Name, Phones, Strict

_MAXIMUM_NODES = 100
_MAXIMUM_FILES = 250_000
_PEM_CHARACTERS = 100_000
_Host = Annotated[str, Field(max_length=253)]
_Pem = Annotated[str, Field(max_length=_PEM_CHARACTERS)]


class NodeItem(Strict):
    """A node; omitted fields keep their values, or get their defaults for a new node."""

    name: _Host
    call_processing: StrictBool | None = None
    tftp: StrictBool | None = None
    administration_address: _Host | None = None
    administration_port: int | None = None
    administration_certificate: _Pem | None = None
    certificate: _Pem | None = None


class NodesChange(ChangeRequest):
    """Nodes to add or change, or to remove from the cluster."""

    nodes: Annotated[list[NodeItem], Field(min_length=1, max_length=_MAXIMUM_NODES)]
    state: Literal["present", "absent"] = "present"


class NodeResult(BaseModel):
    """One node that changes."""

    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class NodesChanged(BaseModel):
    """The changes to the nodes."""

    changed: bool
    counts: dict[str, int]
    results: list[NodeResult]


class ShownNode(BaseModel):
    """A node of the cluster, with the fingerprints of its certificates."""

    name: str
    first_node: bool
    call_processing: bool
    tftp: bool
    role: str
    administration_address: str
    administration_port: int
    administration_certificate_sha256: str
    certificate_sha256: str
    published_at: str
    ctl_file_is_current: bool


class Nodes(BaseModel):
    """The cluster's nodes, beginning with the first node."""

    nodes: list[ShownNode]


class CheckedNodes(BaseModel):
    """The problem of each subscriber, empty if it accepts the administrator's name and password."""

    problems: dict[str, str]


class Publish(ChangeRequest):
    """The phones (None: all) whose configuration files to publish with the CTL file and the CAPF certificate."""

    phones: Phones | None = None


class NodeDelivery(BaseModel):
    """The files that a node received, or would receive."""

    node: str
    sent: int
    sent_files: list[str]
    unchanged: int
    problem: str


class Published(BaseModel):
    """The result of publishing; ``complete`` if every node has all files."""

    changed: bool
    complete: bool
    files: int
    nodes: list[NodeDelivery]
    warnings: list[str]


class Files(ChangeRequest):
    """Files for phones, by name, in base64."""

    files: Annotated[dict[Name, Base64Bytes], Field(max_length=_MAXIMUM_FILES, repr=False)]


class FilesChanged(BaseModel):
    """The names of the files that change."""

    changed: bool
    names: list[str]


class Digests(Strict):
    """SHA-256 digests of files, by name."""

    digests: Annotated[dict[Name, Name], Field(max_length=_MAXIMUM_FILES)]


class Different(BaseModel):
    """The names of the files that are missing or have a different digest."""

    different: list[str]


class TokenItem(Strict):
    """A security token for a slot: certificate and key, or neither if the server shall create it."""

    slot: int
    certificate: _Pem | None = None
    private_key: _Pem | None = Field(default=None, repr=False)
    passphrase: Name | None = Field(default=None, repr=False)


class CtlFileChange(ChangeRequest):
    """The settings of the CTL file; omitted fields keep their values."""

    state: Literal["present"] = "present"
    digest: str | None = None
    signer_version: str | None = None
    tokens: Annotated[list[TokenItem], Field(min_length=1, max_length=2)] | None = None


class CtlRecord(BaseModel):
    """A certificate of the CTL file, and the role for which phones trust it."""

    role: str
    node: str
    subject: str
    serial_number: str
    not_after: str
    sha256: str


class ShownCtlFile(BaseModel):
    """The CTL file and its state (R24)."""

    state: Literal["missing", "outdated", "current", "received"]
    reasons: list[str]
    made_at: str
    digest: str
    signer_version: str
    signer: str
    sha256: str
    records: list[CtlRecord]


class CtlFileChanged(BaseModel):
    """The changes to the CTL file: digest, signer, version and records before and after."""

    changed: bool
    reasons: list[str]
    before: dict[str, Any]
    after: dict[str, Any]
    unreachable: list[str]
