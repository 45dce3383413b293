# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the node is ready, without a login, and its metrics for Prometheus; neither shows secrets.

Nothing here writes: a request without a login must not cause a commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from capf.administration.node import Node
from capf.administration.requests import read
from capf.api import errors
from capf.api.authentication import Monitor, RunningNode
from capf.api.shapes import Health, ReadinessAnswer
from capf.registry import faults, guessing, health, service
from capf.registry.rollout import monitor
from capf.registry.transaction import Transaction

router = APIRouter(tags=["node"])
_NOT_READY = 503


@router.get("/healthz", response_model=Health)
async def healthz() -> dict[str, Any]:
    """Report that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", response_model=ReadinessAnswer, responses={_NOT_READY: {"model": ReadinessAnswer}})
async def readyz(node: RunningNode) -> Response:
    """Report whether phones can be served: the database is writable, and CAPF runs if it is activated.

    The result is at most five seconds old.
    """
    found = await node.readiness.seen()
    state = {"ready": not found.problems, "problems": found.problems, "warnings": found.warnings}
    return JSONResponse(state, _NOT_READY if found.problems else 200)


@dataclass(frozen=True, slots=True)
class _Standing:
    """Whether CAPF is activated, and the number of faults."""

    activated: bool
    faults: int


class _Numbers(Collector):
    """The metrics of one scrape."""

    def __init__(
        self,
        node: Node,
        counts: health.PhoneCounts,
        numbers: monitor.Numbers,
        guessed: guessing.Totals,
        standing: _Standing,
    ) -> None:
        self._node = node
        self._counts = counts
        self._numbers = numbers
        self._guessed = guessed
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        yield GaugeMetricFamily("capf_sessions_open", "Connected phones", self._node.service.sessions)
        serving = float(self._node.context.running is not None)
        yield GaugeMetricFamily("capf_service_running", "Whether the CAPF service accepts phones", serving)
        activated = float(self._standing.activated)
        yield GaugeMetricFamily("capf_service_activated", "Whether the CAPF service is activated", activated)
        yield GaugeMetricFamily("capf_faults", "Unusable files and rows of the server", self._standing.faults)
        signer = self._node.context.authority
        if signer.usable:
            expires = signer.certificate.not_valid_after_utc.timestamp()
            yield GaugeMetricFamily(
                "capf_certificate_expires_timestamp_seconds", "Expiry of the CAPF certificate", expires
            )
        soon = float(health.expires_soon(self._node.context))
        yield GaugeMetricFamily(
            "capf_certificate_expires_soon", "Whether the CAPF certificate is due for renewal", soon
        )
        yield GaugeMetricFamily("capf_phones", "Phones registered with the server", self._counts.phones)
        yield GaugeMetricFamily("capf_lsc_active", "Phones with an LSC", self._counts.active)
        latest = GaugeMetricFamily("capf_operations", "Phones by the status of their operation", labels=["status"])
        for status, count in self._counts.by_status.items():
            latest.add_metric([status], count)
        yield latest
        refusals = CounterMetricFamily("capf_refusals", "Refused claims of phones", labels=["reason"])
        for reason, count in self._node.refusals.items():
            refusals.add_metric([reason], count)
        yield refusals
        yield CounterMetricFamily(
            "capf_guessing_locks", "Locks of a phone for an address after wrong strings", self._guessed.locks
        )
        yield CounterMetricFamily(
            "capf_guessing_exhaustions", "Times that an address reached its limit of wrong strings per day",
            self._guessed.exhaustions,
        )  # fmt: skip
        yield from _rollouts(self._numbers)


def _rollouts(numbers: monitor.Numbers) -> Iterator[Metric]:
    """Yield the numbers of a rollout's progress line."""
    running = GaugeMetricFamily(
        "capf_rollout_phones", "Phones by part of the rollout, while it runs and for a day after its end",
        labels=["rollout", "part"],
    )  # fmt: skip
    for rollout, part, count in numbers.phones:
        running.add_metric([rollout, part], count)
    yield running
    yield from _verdicts(numbers)
    for name, text, by_rollout in (
        ("wave", "Number of the running wave", numbers.wave),
        ("phones_a_minute", "Phones of the running wave done in the last minute", numbers.phones_a_minute),
        ("wave_seconds_left", "Seconds until the deadline of the running wave", numbers.seconds_left),
    ):
        metric = GaugeMetricFamily(f"capf_rollout_{name}", text, labels=["rollout"])
        for rollout, value in by_rollout.items():
            metric.add_metric([rollout], value)
        yield metric


def _verdicts(numbers: monitor.Numbers) -> Iterator[Metric]:
    """Yield the recorded judgements of waves."""
    for name, text, value in (
        ("judged", "Judged phones of a wave", lambda given: given.judged),
        ("failing", "Phones not done when their wave was judged", lambda given: given.failing),
        ("allowed", "Phones of a wave that were allowed to fail", lambda given: given.allowed),
        ("stopped", "Whether the judgement of a wave stopped the rollout", lambda given: int(given.stopped)),
    ):
        metric = GaugeMetricFamily(f"capf_rollout_wave_{name}", text, labels=["rollout", "wave"])
        for rollout, wave, given in numbers.verdicts:
            if value(given) is not None:
                metric.add_metric([rollout, str(wave)], value(given))
        yield metric


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}, **errors.OF_MONITORS},
    dependencies=[Monitor],
)
async def metrics(node: RunningNode) -> Response:
    """Return the node's metrics for Prometheus; monitors' addresses need no login."""

    def count(tx: Transaction) -> tuple[health.PhoneCounts, monitor.Numbers, guessing.Totals, _Standing]:
        standing = _Standing(service.is_activated(tx.connection), len(faults.find(tx)))
        return health.counts(tx.connection), monitor.numbers(tx), guessing.totals(tx.connection), standing

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Numbers(node, *await read(node, count)))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
