# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an administrator asks of a node, over any way on which requests reach it."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from typing import Any

from support.waiting import until

ADMINISTRATOR, PASSWORD = "admin", "correct-horse-battery"


def token(password: str = PASSWORD) -> str:
    """Return what follows ``Basic`` in the header that logs the administrator in."""
    return base64.b64encode(f"{ADMINISTRATOR}:{password}".encode()).decode()


class Requesting(ABC):
    """A node that answers requests of its administrator."""

    @abstractmethod
    def api(
        self, method: str, path: str, body: object = None, *, password: str = PASSWORD, base: str = "/api/v1"
    ) -> tuple[int, Any]:
        """Return status and decoded body of a request."""

    def ok(self, method: str, path: str, body: object = None) -> Any:
        """Return the body of a request that has to succeed."""
        status, answer = self.api(method, path, body)
        assert status == 200, answer
        return answer

    def phone(self, name: str) -> dict[str, Any]:
        """Return one phone as the server shows it, including its authentication string."""
        criterion = {"field": "device_name", "pattern": "is exactly", "value": name}
        found = self.ok("POST", "/phones/find", {"criteria": [criterion], "authentication_strings": True})
        assert found["total"] == 1
        phone: dict[str, Any] = found["phones"][0]
        return phone

    def schedule(self, *names: str, operation: str = "Install/Upgrade", **settings: object) -> dict[str, Any]:
        """Schedule an operation."""
        body = {"operation": operation, "phones": list(names), **settings}
        answer: dict[str, Any] = self.ok("POST", "/operations", body)
        return answer

    def refused(self, *names: str, seconds: float = 30) -> list[str]:
        """Wait until each phone was refused, which leaves its operation open; return their status."""
        until(lambda: all(self.phone(name)["refusals"] for name in names), seconds)
        found = [self.phone(name) for name in names]
        assert {phone["certificate_operation"] for phone in found} != {"No Pending Operation"}, found
        return [str(phone["operation_status"]) for phone in found]

    def wait(self, *names: str, seconds: float = 30) -> dict[str, Any]:
        """Wait until the phones' operations have ended; fail if they do not end in time."""
        answer: dict[str, Any] = self.ok("POST", "/operations/wait", {"phones": list(names), "timeout": seconds})
        assert answer["ended"], answer
        return answer
