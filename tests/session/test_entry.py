"""The way in: what is given reaches the session, and the kind of host is recognised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from optio_agents import HookContext, run_log_protocol_session
from optio_agents.protocol.session import Ending
from optio_agents.session.entry import fetch_deliverable_text
from tests.support.session import MemoryHost, RecordingCtx


class TailingHost:
    """No host of ours: a workdir and a log that is tailed."""

    def __init__(self, workdir: Path) -> None:
        self.workdir = str(workdir)
        self.lines: list[str] = []

    async def tail_file(self, path: str) -> Any:
        for line in self.lines:
            yield line
        await trio.sleep_forever()

    async def fetch_bytes_from_host(self, path: str) -> bytes:
        return {"a": b"text", "b": b"\xff"}[path]


async def test_a_host_that_only_tails_is_adapted(tmp_path: Path) -> None:
    host, ctx = TailingHost(tmp_path), RecordingCtx()
    host.lines = ["STATUS: 5% x", "DONE: ready"]

    async def body(given: object, hook_ctx: HookContext) -> None:
        assert given is host, "the caller's callables get the caller's own host"
        await trio.sleep_forever()

    outcome = await run_log_protocol_session(host, ctx, body=body)
    assert (outcome.ending, outcome.message) == (Ending.DONE, "ready")
    assert (5, "x") in ctx.of("progress")


async def test_the_sender_is_in_the_hook_context_and_is_checked_first() -> None:
    host, got = MemoryHost(), []

    async def sender(text: str) -> None:
        got.append(text)

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        assert await hook_ctx.send_to_agent("hello")
        host.write("DONE")

    await run_log_protocol_session(host, RecordingCtx(), body=body, agent_sender=sender)
    assert got == ["System: hello"]
    untouched: Any = MemoryHost()
    with pytest.raises(TypeError, match="agent_sender"):
        await run_log_protocol_session(
            untouched,
            RecordingCtx(),
            body=body,
            agent_sender=5,  # type: ignore[arg-type]
        )
    assert untouched.calls == []


async def test_the_text_of_a_file_is_fetched_from_any_host(tmp_path: Path) -> None:
    host = TailingHost(tmp_path)
    assert await fetch_deliverable_text(host, "a") == "text"
    with pytest.raises(UnicodeDecodeError):
        await fetch_deliverable_text(host, "b")
