# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""The requests and answers of the API; the OpenAPI document is made from these."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    WithJsonSchema,
    create_model,
    field_validator,
)
from pydantic_core import PydanticCustomError

from capf import device_names
from capf.model import Operation
from capf.registry.phone_fields import FieldKind, settings

_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
TEXT_ALLOWED = "Unicode text without control characters other than tabs and line breaks"
MAXIMUM_PHONES = 100_000
_MAXIMUM_PAGE = 1_000_000_000


def _plain(value: Any) -> Any:
    """Refuse text that a database, report or configuration file cannot store, such as unpaired surrogates."""
    if isinstance(value, str) and _NO_TEXT.search(value):
        raise PydanticCustomError("no_text", TEXT_ALLOWED)
    return value


Name = Annotated[str, Field(max_length=200), AfterValidator(_plain)]
DeviceName = Annotated[str, Field(max_length=200), AfterValidator(_plain), AfterValidator(device_names.read)]
"""A device name as people write it; ``device_names.notes`` reports those that were written in another way."""
Setting = Annotated[Any, WithJsonSchema({"anyOf": [{"type": name} for name in ("boolean", "integer", "string")]})]
"""A parameter's value; the registry checks whether it is allowed."""
_GIVEN = Field(min_length=1, max_length=MAXIMUM_PHONES)
"""The bounds of a list in a request: an empty one could mean all or none, so it is refused (P57)."""
Phones = Annotated[list[DeviceName], _GIVEN]


class Strict(BaseModel):
    """A request body that rejects unknown fields and control characters."""

    model_config = ConfigDict(extra="forbid")
    _text = field_validator("*")(_plain)


class ChangeRequest(Strict):
    """A request that changes something, unless it is a dry run."""

    dry_run: StrictBool = False


Confirmed = Annotated[int | None, Field(ge=0, le=MAXIMUM_PHONES)]
"""The number of phones that are removed or lose their LSC; required if there are many (P57)."""


class Wrong(BaseModel):
    """One problem of a request; ``message`` says what is wrong and what to do."""

    field: str
    value: str
    message: str


class Failure(BaseModel):
    """An error. ``details``: for ``led_by_another``, the id of the rollout that another run leads."""

    code: Literal[
        "invalid",
        "unauthorized",
        "not_found",
        "method_not_allowed",
        "too_slow",
        "conflict",
        "first_node_only",
        "led_by_another",
        "rollout_aborted",
        "rollout_stopped",
        "rollout_done",
        "too_large",
        "too_many",
        "internal",
        "unavailable",
    ]
    message: str
    problems: list[Wrong] = []
    details: dict[str, int | str] = {}


class ErrorAnswer(BaseModel):
    """The body of every error answer."""

    error: Failure


class CapfCertificate(BaseModel):
    """The CAPF certificate (R3)."""

    common_name: str
    subject: str
    serial_number: str
    not_before: str
    not_after: str
    sha256: str
    pem: str
    file_names: list[str]
    active_lscs: int


class CtlFileState(BaseModel):
    """Whether the CTL file is current, and why not (R24)."""

    state: Literal["missing", "outdated", "current"]
    reasons: list[str]


class ShownFault(BaseModel):
    """A file or row that the server cannot use, and what to do; some of them prevent CAPF from running."""

    where: str
    problem: str
    todo: str
    stops_capf: bool


class Service(BaseModel):
    """The state of the CAPF service (R24); ``problem`` says why it does not run although it is activated."""

    version: str
    first_node: bool
    activated: bool
    running: bool
    problem: str
    restart_required: bool
    capf_phone_port: int
    sessions_open: int
    capf_certificate: CapfCertificate | None
    ctl_file: CtlFileState
    faults: list[ShownFault]


class Activation(ChangeRequest):
    """Whether the CAPF service shall be activated."""

    activated: StrictBool


class Activated(BaseModel):
    """The activation before and after."""

    changed: bool
    before: dict[str, bool]
    after: dict[str, bool]
    warnings: list[str]


class Restart(ChangeRequest):
    """A restart; with ``if_due``, only if CAPF does not run with the current parameters."""

    if_due: StrictBool = False


class Restarted(BaseModel):
    """Whether the service was restarted, or would be."""

    changed: bool
    before: dict[str, bool]
    after: dict[str, bool]


class ShownParameter(BaseModel):
    """One parameter with its help, default and range (R25)."""

    name: str
    value: bool | int | str
    in_force: bool | int | str | None
    default: bool | int | str
    unit: str
    minimum: int | None
    maximum: int | None
    choices: list[int | str]
    help: str


class Parameters(BaseModel):
    """All parameters; active only while the service is activated (R25)."""

    active: bool
    parameters: list[ShownParameter]


class ParameterChange(ChangeRequest):
    """Parameters to set, by name."""

    parameters: Annotated[dict[Name, Setting], Field(min_length=1)]


class ParametersChanged(BaseModel):
    """The parameters that change, before and after."""

    changed: bool
    before: dict[str, bool | int | str]
    after: dict[str, bool | int | str]
    restart_required: bool


class NamedPhone(Strict):
    """A phone and its authentication string in a list; registration only checks the string, operations use it."""

    device_name: DeviceName
    authentication_string: str | None = Field(default=None, repr=False)


_TYPES: Mapping[FieldKind, Any] = {FieldKind.TEXT: str, FieldKind.NUMBER: int, FieldKind.FLAG: StrictBool}
if TYPE_CHECKING:
    Phone = NamedPhone
else:
    Phone = create_model(
        "Phone",
        __base__=NamedPhone,
        __doc__="A phone and its CAPF defaults; omitted fields keep their values.",
        **{field.name: (_TYPES[field.kind] | None, None) for field in settings()},
    )


class PhonesChange(ChangeRequest):
    """Phones to register or change, or to remove."""

    phones: Annotated[list[Phone], _GIVEN]
    state: Literal["present", "absent"] = "present"
    confirm: Confirmed = None


class PhoneResult(BaseModel):
    """One phone that changes."""

    device_name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class PhonesChanged(BaseModel):
    """The changes to the phones."""

    changed: bool
    counts: dict[str, int]
    results: list[PhoneResult]
    warnings: list[str]


class SearchCriterion(Strict):
    """One criterion; all criteria must match (R29)."""

    field: str
    pattern: str
    value: str = ""


Criteria = Annotated[list[SearchCriterion], Field(min_length=1, max_length=MAXIMUM_PHONES)]


class Search(Strict):
    """The phones to find (all without criteria), their order, and the page to return."""

    criteria: Criteria | None = None
    sort: str = "device_name"
    descending: StrictBool = False
    page: Annotated[int, Field(ge=1, le=_MAXIMUM_PAGE)] = 1
    rows_per_page: Annotated[int, Field(ge=1, le=MAXIMUM_PHONES)] = 50
    fields: Annotated[list[str], _GIVEN] | None = None
    authentication_strings: StrictBool = False


class FoundPhones(BaseModel):
    """A page of the phones that match."""

    total: int
    page: int
    rows_per_page: int
    phones: list[dict[str, Any]]


class OperationItem(Strict):
    """One phone with its individual settings."""

    device_name: DeviceName
    authentication_mode: str | None = None
    authentication_string: str | None = Field(default=None, repr=False)
    key_order: str | None = None
    key_size: int | None = None
    ec_key_size: int | None = None


class OperationsChange(ChangeRequest):
    """A certificate operation for many phones (R26)."""

    operation: Operation
    phones: Phones | None = None
    items: Annotated[list[OperationItem], _GIVEN] | None = None
    authentication_mode: str | None = None
    key_order: str | None = None
    key_size: int | None = None
    ec_key_size: int | None = None
    completes_by: str | None = None
    renew_before: Annotated[int, Field(ge=0, le=7300)] = 0
    force: StrictBool = False
    confirm: Confirmed = None


class OperationResult(BaseModel):
    """One phone whose operation changes."""

    device_name: str
    reason: str
    before: dict[str, str]
    after: dict[str, str]


class OperationsChanged(BaseModel):
    """The changes to the phones' operations."""

    changed: bool
    counts: dict[str, int]
    scheduled: list[str]
    pending: list[str]
    cancelled: list[str]
    skipped: dict[str, list[str]]
    results: list[OperationResult]
    warnings: list[str]
    completes_by: str


class Wait(Strict):
    """Wait until the operations of these phones have ended, at most ``timeout`` seconds."""

    phones: Phones
    timeout: Annotated[float, Field(ge=0, le=60)] = 30


class FailedPhone(BaseModel):
    """A phone whose operation failed."""

    device_name: str
    status: str
    problem: str


class RefusedPhone(BaseModel):
    """A phone that was refused but whose operation can still be carried out."""

    device_name: str
    status: str
    refusals: int
    last_refusal: str
    refused_at: str
    refused_from: str


class Progress(BaseModel):
    """The progress of the operations: ``counts`` of phones by part, and ``lsc_installed``.

    The ``refused`` phones are among those in flight.
    """

    ended: bool
    counts: dict[str, int]
    by_status: dict[str, int]
    failed: list[FailedPhone]
    in_flight: list[str]
    refused: list[RefusedPhone]
    warnings: list[str]


RunnerName = Annotated[str, Field(min_length=1, max_length=80)]
RolloutId = Annotated[int, Field(ge=1, le=2**63 - 1)]


class LeadingRun(Strict):
    """A rollout, and the run that leads it."""

    name: Name
    rollout_id: RolloutId
    runner: RunnerName


class Reset(ChangeRequest):
    """Phones to reset (R28); with ``rollout``, only while this run leads it."""

    phones: Phones
    rollout: LeadingRun | None = None


class Unlock(ChangeRequest):
    """Phones whose locks to remove."""

    phones: Phones


class Unlocked(BaseModel):
    """The phones that were locked."""

    changed: bool
    unlocked: list[str]
    warnings: list[str]


class ResetFault(BaseModel):
    """A phone that could not be reset."""

    device_name: str
    problem: str


class ResetDone(BaseModel):
    """The results of the resets."""

    changed: bool
    counts: dict[str, int]
    failed: list[ResetFault]
    warnings: list[str]


class ReportedWave(Strict):
    """A wave of one rollout, by default of the latest of this name."""

    rollout: Name
    rollout_id: RolloutId | None = None
    number: Annotated[int, Field(ge=1, le=MAXIMUM_PHONES)]


class Report(Strict):
    """The phones to report (R30); ``wave``: only phones whose current operation belongs to this wave."""

    wave: ReportedWave | None = None
    criteria: Criteria | None = None
    format: Literal["csv", "json", "html"] = "csv"
    authentication_strings: StrictBool = True


class ReadinessAnswer(BaseModel):
    """Whether phones can be served now, and warnings."""

    ready: bool
    problems: list[str]
    warnings: list[str]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]
