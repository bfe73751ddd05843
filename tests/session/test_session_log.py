"""What those who run a worker find in its log: tracebacks of the caller's code, and everything that was dropped."""

from __future__ import annotations

import gc
import logging
import traceback
import weakref
from typing import Any

import pytest
import trio

from optio_agents import HookContext, get_protocol, run_log_protocol_session
from optio_agents.protocol.session import SessionOutcome
from optio_agents.session.session_log import LIMIT, SessionLog
from tests.support.session import MemoryHost, RecordingCtx

NAME = "optio_agents.session"


class Ctx(RecordingCtx):
    process_id = "the process"

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[tuple[str, str | None]] = []

    def report_progress(
        self, percent: float | None, message: str | None = None, *, level: str = "info"
    ) -> None:
        self.levels.append((level, message))


async def run(host: MemoryHost, ctx: Any, *lines: str, **more: Any) -> SessionOutcome:
    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*lines)
        await trio.sleep_forever()

    return await run_log_protocol_session(host, ctx, body=body, **more)


async def failing(*args: Any) -> str | None:
    await trio.lowlevel.checkpoint()
    return {"a": "b"}["my key"]


async def test_a_callback_that_raises_is_logged_with_its_traceback_and_kept_on_the_record(
    caplog: pytest.LogCaptureFixture,
) -> None:
    host, ctx = MemoryHost(), Ctx()
    host.deliverables["x"] = b"content"
    outcome = await run(host, ctx, "DELIVERABLE: deliverables/x", "DONE", on_deliverable=failing)
    (logged,) = [each for each in caplog.records if each.name == NAME and each.levelno >= logging.ERROR]
    assert logged.exc_info is not None
    error = logged.exc_info[1]
    assert isinstance(error, KeyError)
    assert "in failing" in "".join(traceback.format_exception(error))
    assert (logged.process_id, logged.actor) == ("the process", "fetcher")  # type: ignore[attr-defined]
    assert isinstance(logged.session, int)  # type: ignore[attr-defined]
    (record,) = outcome.deliverables
    assert record.failed
    assert record.error is error
    assert [message for level, message in ctx.levels if level == "warning"] == [outcome.problems[0]]


async def test_an_exception_that_is_kept_holds_no_local_variable() -> None:
    class Large:
        pass

    held: list[weakref.ref[Large]] = []

    async def on_deliverable(hook_ctx: HookContext, path: str, text: str) -> None:
        large = Large()
        held.append(weakref.ref(large))
        await trio.lowlevel.checkpoint()
        try:
            raise ValueError("first")
        except ValueError:
            raise LookupError("second")  # noqa: B904 - the first one is its context

    host = MemoryHost()
    host.deliverables["x"] = b""
    outcome = await run(
        host, RecordingCtx(), "DELIVERABLE: deliverables/x", "DONE", on_deliverable=on_deliverable
    )
    gc.collect()
    assert isinstance(outcome.deliverables[0].error, LookupError)
    assert held[0]() is None


@pytest.mark.parametrize(
    ("actor", "lines", "more"),
    [
        ("callers", ["CALLER_MESSAGE: k 1"], {"on_caller_message": failing}),
        ("attention", ["ATTENTION: look"], {}),
        ("browser", ['BROWSER: "x"'], {}),
        ("client_message", ["CLIENT_MESSAGE: k 1"], {}),
    ],
)
async def test_the_callers_other_code_is_logged_too(
    caplog: pytest.LogCaptureFixture, actor: str, lines: list[str], more: dict[str, Any]
) -> None:
    ctx = Ctx()
    for name in ("need_attention", "request_browser_open", "client_message"):
        setattr(ctx, name, failing)
    features = get_protocol(
        browser="redirect", client_messages=True, caller_messages="on_caller_message" in more
    )
    await run(MemoryHost(), ctx, *lines, "DONE", protocol=features, **more)
    (logged,) = [each for each in caplog.records if each.name == NAME]
    assert (logged.levelno, logged.actor) == (logging.ERROR, actor)  # type: ignore[attr-defined]
    assert logged.exc_info is not None
    assert "my key" in str(logged.exc_info[1])


async def test_restarts_and_rejections_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, NAME)
    host = MemoryHost(lose_reader_at={0})
    await run(host, RecordingCtx(), "DELIVERABLE: deliverables/missing", "DONE")
    logged = {(each.levelno, each.actor) for each in caplog.records if each.name == NAME}  # type: ignore[attr-defined]
    assert logged == {(logging.WARNING, "tailer"), (logging.INFO, "fetcher")}


def test_what_an_agent_causes_is_logged_up_to_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    log = SessionLog(None)
    for number in range(2 * LIMIT):
        log.write(logging.WARNING, str(number))
    assert len(caplog.records) == LIMIT + 1
    assert "the rest is not logged" in caplog.records[-1].getMessage()
