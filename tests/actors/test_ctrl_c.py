"""Ctrl-C at any line of the runtime's own bookkeeping ends the program as KeyboardInterrupt, and never breaks Trio."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import actors
from actors import api
from actors.inline_handles import CHECKPOINT_EVERY, budget

FOLDER = str(Path(api.__file__).parent)


class CtrlC:
    """Within `with`: send SIGINT at the nth line that runs in the runtime's files. `left` > 0: there are fewer."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.where = "nowhere"

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        if event == "line":
            self.left -= 1
            if not self.left:
                self.where = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                signal.raise_signal(signal.SIGINT)
        return self

    def __enter__(self) -> None:
        self.before = sys.gettrace()
        sys.settrace(self)

    def __exit__(self, *_: object) -> None:
        sys.settrace(self.before)


async def worker(me: actors.Me[Any]) -> None:
    async for message in me:
        if isinstance(message, actors.Reply):
            message.set(1)
        if message == "fail":
            raise ValueError


def passer(me: actors.InlineMe[Any], other: actors.Ref[Any]) -> Callable[[Any], None]:
    def handle(message: Any) -> None:
        if message == "first":
            me.ref.try_tell("from inside")
        other.try_tell(message)

    return handle


async def tell(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    await ref.tell(1)


async def try_tell(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    ref.try_tell(1)


async def ask(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    assert await ref.ask(lambda reply: reply, timeout=5) == 1


async def stop(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    ref.stop()
    await ref.wait()


async def cancel(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    ref.cancel()
    await ref.wait()


async def start(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    await supervisor.start(actors.actor(worker))


async def restart(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    await ref.tell("fail")
    assert await ref.ask(lambda reply: reply, timeout=5) == 1


async def tell_without_a_task(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    inline = await supervisor.start(actors.inline(passer, ref))
    await inline.tell("first")
    inline.try_tell("second")


async def nested(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    below = await supervisor.start_supervisor(name="below", strategy=actors.ONE_FOR_ALL)
    failing = await below.start(actors.actor(worker), restart=actors.PERMANENT)
    await failing.tell("fail")
    await wait_all_tasks_blocked()
    assert below.ref is not None
    below.ref.stop()
    await below.ref.wait()


async def timers_and_watches(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    async def attentive(me: actors.Me[Any]) -> None:
        me.timers.start("late", 3600.0, "never")
        me.timers.start("tick", 0.1, "tick")
        me.watch(ref, lambda exit: exit)
        me.watch(me.ref, lambda exit: exit)
        me.unwatch(me.ref)
        assert await me.receive() == "tick"
        ref.stop()
        assert isinstance(await me.receive(), actors.Exit)

    watcher = await supervisor.start(actors.actor(attentive))
    await watcher.wait()


async def interrupt(supervisor: actors.Supervisor, ref: actors.Ref[Any]) -> None:
    async def served(me: actors.Me[Any]) -> None:
        await me.serve(lambda message: trio.sleep_forever())

    sleeper = await supervisor.start(actors.actor(served))
    await sleeper.tell(1)
    await wait_all_tasks_blocked()
    assert sleeper.interrupt("enough")
    await wait_all_tasks_blocked()


DEEDS = [
    tell,
    try_tell,
    ask,
    stop,
    cancel,
    start,
    restart,
    tell_without_a_task,
    nested,
    timers_and_watches,
    interrupt,
]


@pytest.mark.parametrize("deed", DEEDS)
def test_ctrl_c_at_any_line(
    deed: Callable[[actors.Supervisor, actors.Ref[Any]], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def program(ctrl_c: CtrlC) -> None:
        async with actors.open_supervisor(on_failure=lambda ref, exit: None) as supervisor:
            ref = await supervisor.start(actors.actor(worker), restart=actors.TRANSIENT)
            await wait_all_tasks_blocked()
            with ctrl_c:
                await deed(supervisor, ref)
            await trio.sleep(3600)

    nth = 0
    while True:
        nth += 1
        ctrl_c = CtrlC(nth)
        try:
            trio.run(program, ctrl_c, clock=MockClock(autojump_threshold=0))
        except KeyboardInterrupt:
            continue
        except BaseExceptionGroup as group:
            rest = group.split(KeyboardInterrupt)[1]
            assert rest is None, f"Ctrl-C at {ctrl_c.where}: {rest!r}"
            continue
        except BaseException as error:
            error.add_note(f"Ctrl-C at {ctrl_c.where}")
            raise
        assert ctrl_c.left > 0, f"Ctrl-C at {ctrl_c.where} was lost"
        break
    assert nth > 5


@pytest.mark.parametrize("verb", ["tell", "try_tell"])
@pytest.mark.parametrize("hooks", [None, actors.Hooks()], ids=["quick", "traced"])
def test_after_a_ctrl_c_that_is_caught_an_actor_without_a_task_can_still_be_stopped(
    verb: str, hooks: actors.Hooks | None
) -> None:
    """At no line is it left busy for ever."""

    async def program(ctrl_c: CtrlC) -> None:
        with trio.fail_after(600):
            async with actors.open_supervisor(hooks=hooks) as supervisor:
                ref = await supervisor.start(actors.actor(worker))
                inline = await supervisor.start(actors.inline(passer, ref))
                budget.left = CHECKPOINT_EVERY
                with ctrl_c, suppress(KeyboardInterrupt):
                    if (sent := getattr(inline, verb)("first")) is not None:
                        await sent
                inline.stop()
                await inline.wait()

    nth, left = 0, 0
    while left <= 0:
        nth += 1
        ctrl_c = CtrlC(nth)
        try:
            trio.run(program, ctrl_c, clock=MockClock(autojump_threshold=0))
        except KeyboardInterrupt:
            pass  # it hit protected code, and came later
        except BaseException as error:
            error.add_note(f"Ctrl-C at {ctrl_c.where}")
            raise
        left = ctrl_c.left
    assert nth > 20
