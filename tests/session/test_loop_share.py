"""No piece of work for one session holds the loop: its neighbours and heartbeats get their turn.

Each log below is 256 KiB of what costs a session most.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from optio_agents import HookContext, SessionOptions, get_protocol, run_log_protocol_session
from optio_agents.hosts.base import WINDOW_LIMIT
from optio_agents.hosts.local import LocalHost
from optio_agents.protocol.session import SessionFailed
from tests.support.loop_share import STEP, StepWatchdog, own_garbage, slowness
from tests.support.session import RecordingCtx

DEEP = "[" * 60 + "]" * 60
EMPTY: dict[str, Any] = {}

HOSTILE: dict[str, tuple[str, dict[str, Any]]] = {
    "deliverables": ("DELIVERABLE:x\n", EMPTY),
    "deliverables with long paths": ("DELIVERABLE: ./deliverables/" + "d/" * 1000 + "x\n", EMPTY),
    "deliverables that are there": ("DELIVERABLE: deliverables/good\n", EMPTY),
    "one deliverable in a hundred lines": ("STATUS: 1% x\n" * 99 + "DELIVERABLE: deliverables/good\n", EMPTY),
    "attention": ("ATTENTION:x\n", EMPTY),
    "browser": ("BROWSER:x\n", EMPTY),
    "messages to the client": ("CLIENT_MESSAGE:k 1\n", EMPTY),
    "deep messages to the client": (f"CLIENT_MESSAGE:k {DEEP}\n", EMPTY),
    "messages to the caller": ("CALLER_MESSAGE:k 1\n", EMPTY),
    "messages to the caller of many keywords": ("CALLER_MESSAGE:k 1\nCALLER_MESSAGE:l {}\n", EMPTY),
    "messages to the caller that are none": ("CALLER_MESSAGE:k {\n", EMPTY),
    "blank lines": (" \n", EMPTY),
    "empty lines and spaces": ("\n\n \n", EMPTY),
    "plain lines": ("x\n", EMPTY),
    "plain lines, each reported": ("x\n", {"progress": "every"}),
    "near misses of no keyword": ("DONEx\n", EMPTY),
    "long lines": ("DONEx" * 13_000 + "\n", EMPTY),
    "indented lines": ("  at x\n", EMPTY),
    "escapes": ("\x1b[31mDONE\x1b[0m x\n", EMPTY),
    "deliverables that are observed": ("DELIVERABLE:x\n", {"on_event": lambda event: None}),
}


async def longest_step(
    host: LocalHost, text: str, options: dict[str, Any], callback: Callable[..., Awaitable[None]]
) -> tuple[float, str]:
    watchdog = StepWatchdog()

    async def body(host: LocalHost, hook_ctx: HookContext) -> None:
        with open(f"{host.workdir}/deliverables/good", "wb") as file:
            file.write(b"content")
        trio.lowlevel.add_instrument(watchdog)
        with open(f"{host.workdir}/optio.log", "a") as log:
            log.write(text * (WINDOW_LIMIT // len(text)) + "DONE\n")
        await trio.sleep_forever()

    try:
        await run_log_protocol_session(
            host,
            RecordingCtx(),
            body=body,
            on_deliverable=callback,
            on_caller_message=callback,
            protocol=get_protocol(browser="redirect", client_messages=True, caller_messages=True),
            options=SessionOptions(drain_timeout=1.0, **options),
        )
    except SessionFailed:
        pass  # not everything was settled in time, which is not the point here
    finally:
        trio.lowlevel.remove_instrument(watchdog)
    return watchdog.longest


@pytest.mark.parametrize("name", HOSTILE)
async def test_no_step_of_a_session_holds_the_loop(name: str, tmp_path: Any) -> None:
    async def callback(*args: Any) -> None:
        await trio.lowlevel.checkpoint()

    text, options = HOSTILE[name]
    limit = STEP * slowness()
    with own_garbage():
        seconds, task = await longest_step(LocalHost(str(tmp_path / "task")), text, options, callback)
        if seconds > limit:  # once more: a collection of garbage may have come in between
            seconds, task = await longest_step(LocalHost(str(tmp_path / "again")), text, options, callback)
    assert seconds < limit, (
        f"a step of {task} took {seconds * 1000:.0f} ms of CPU, at most {limit * 1000:.0f}"
    )
