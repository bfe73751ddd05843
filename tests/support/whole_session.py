"""A session in which everything happens that can happen, for callers in asyncio; and what must hold of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from outcome import Error, Value

from optio_agents import get_protocol
from optio_agents.protocol.session import Ending, SessionFailed
from tests.support.asyncio_trials import Trial, World

PROTOCOL = get_protocol(browser="redirect", caller_messages=True)

REPLIES = ["System: deliverable a: accepted", "System: deliverable b: not quite"]
"""One to each deliverable, in this order."""


def whole_session(world: World, last_line: str, *, messages: int = 2) -> dict[str, Any]:
    """The arguments of a session whose agent writes a line of each kind, at last `last_line`.

    All user code waits in its middle; the body's cleanup waits, too.

    Args:
        world: its host's workdir must be on this machine.
        last_line: DONE or ERROR.
        messages: how many CALLER_MESSAGE lines there are: the first one is waited for, the others come at once.
    """
    heard = asyncio.Event()
    # Of the class, because the host may have been used by another world before.
    set_up = type(world.host).setup_workdir.__get__(world.host)
    world.host.setup_workdir = world.noting(set_up)

    def say(*lines: str) -> None:
        with Path(world.host.workdir, "optio.log").open("a") as log:
            log.write("".join(f"{line}\n" for line in lines))

    def deliver(name: str) -> None:
        Path(world.host.workdir, "deliverables", name).write_text(f"text of {name}")
        say(f"DELIVERABLE: deliverables/{name}")

    async def body(host: Any, hook_ctx: Any) -> None:
        try:
            say("STATUS: 10% begun", "a plain line")
            await asyncio.sleep(0)
            deliver("a")
            say("BROWSER: https://example.org/", "ATTENTION: look here")
            await asyncio.sleep(0)
            say('CALLER_MESSAGE: number {"n": 0}')
            await heard.wait()
            say(*(f'CALLER_MESSAGE: number {{"n": {number}}}' for number in range(1, messages)))
            deliver("b")
            await asyncio.sleep(0)
            say(last_line)
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)

    async def prepare(host: Any, hook_ctx: Any) -> None:
        await asyncio.sleep(0)

    async def before_execute(hook_ctx: Any) -> None:
        await asyncio.sleep(0)

    async def after_execute(hook_ctx: Any) -> None:
        await asyncio.sleep(0)

    async def on_deliverable(hook_ctx: Any, path: str, text: str) -> str | None:
        assert text == f"text of {path}"
        await asyncio.sleep(0)
        return "not quite" if path == "b" else None

    async def on_caller_message(hook_ctx: Any, keyword: str, data: Any) -> str | None:
        await asyncio.sleep(0)
        heard.set()
        return "an answer" if data == {"n": 0} else None

    async def agent_sender(text: str) -> None:
        await asyncio.sleep(0)
        world.sent.append(text)

    code = (body, prepare, before_execute, after_execute, on_deliverable, on_caller_message, agent_sender)
    return {"protocol": PROTOCOL} | {function.__name__: world.noting(function) for function in code}


def check(trial: Trial, usual: Ending) -> None:
    """What holds wherever a whole session was disturbed; undisturbed it ends as `usual`."""
    world = trial.world
    _check_what_the_caller_got(trial, usual)
    # What was begun was ended, once, and before the return.
    assert world.begun["setup_workdir"] <= world.begun["after_execute"] <= 1
    # (Set-up begins with a call to the host, whose task takes its first step in the loop's next turn.)
    assert world.begun["setup_workdir"] or not world.begun["after_execute"] or world.begun.total() == 1
    assert world.begun["prepare"] <= 1
    assert world.begun["body"] <= 1
    assert not world.running_at_return
    # Nothing is left, and the ctx gets no call after the end.
    assert not trial.left
    assert trial.calls_at_last == world.calls_at_return
    # The agent is not launched once it is known that it should not be.
    if trial.fired and "before_execute" not in trial.begun_before:
        assert not world.begun["body"]
    # At most one reply to each deliverable, in order; and exactly one, if all is said to be well.
    replies = [text for text in world.sent if text.startswith("System: deliverable")]
    assert replies == REPLIES[: len(replies)]
    if world.end is not None and world.end.ending is Ending.DONE:
        assert replies == REPLIES
        assert len(world.end.deliverables) == len(REPLIES)
        assert (world.end.unsettled, world.end.abandoned) == (0, ())


def _check_what_the_caller_got(trial: Trial, usual: Ending) -> None:
    end = trial.world.end
    raised = trial.outcome.error if isinstance(trial.outcome, Error) else None
    if end is None:
        # Cancelled before it began: it was not reported anywhere.
        assert trial.was_cancelled
        assert not trial.world.begun
        assert isinstance(raised, asyncio.CancelledError)
        return
    assert end.ending in ((usual, Ending.CANCELLED) if trial.fired else (usual,))
    if isinstance(raised, SessionFailed):
        # A failure that the session had come to by itself is not replaced by the cancellation.
        assert end.ending is usual is Ending.ERROR
        assert raised.outcome == end
    elif trial.was_cancelled:
        assert isinstance(raised, asyncio.CancelledError)
    else:
        assert trial.outcome == Value(end)
        assert end.ending is not Ending.ERROR
