# Copyright (c) The ucm.capf founders
# SPDX-License-Identifier: GPL-3.0-or-later

"""An error that nobody expected is logged, and the answer says no more than that there was one."""

from __future__ import annotations

from pathlib import Path

import pytest

from capf.registry import search
from support.inprocess import InProcess, new_state


async def test_an_unexpected_error_is_logged_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_unused: object, **_options: object) -> None:
        raise RuntimeError("what nobody expected")

    node = await InProcess(new_state(tmp_path / "state")).begin()
    monkeypatch.setattr(search, "find", fail)
    answer = await node.ask("POST", "/phones/find", {})
    await node.close()
    assert answer.status == 500 and answer.json["error"]["code"] == "internal"
    assert b"what nobody expected" not in answer.body
    assert "event=request-failed method=POST path='/api/v1/phones/find'" in caplog.text
