"""Whole sessions awaited under asyncio, each disturbed just before one step of the loop.

The disturber is what an asyncio program can do there: cancel the awaiting task, set optio's flag, both. A `World` holds
everything that the session touches and keeps the pending that is checked afterwards.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVarTuple

from outcome import Error, Outcome, Value

from optio_agents import run_log_protocol_session
from optio_agents.protocol.session import SessionOptions, SessionOutcome
from optio_agents.session.events import Ended, SessionEvent
from tests.support.asyncio_steps import SteppingLoop
from tests.support.session import RecordingCtx

Ts = TypeVarTuple("Ts")

HANG = 60.0
"""Seconds of real time after which a session is taken to hang."""

AFTERMATH = 20
"""Turns of the loop that a stray of a session gets to show itself after the session's end."""


class EveryStepLoop(SteppingLoop):
    """Counts also what the loop does for timers and for readable descriptors: they drive Trio, too."""

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Schedule `callback`, one counted step."""
        return super().call_at(when, self._counted(callback), *args, context=context)

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Each call of `callback` is one counted step."""
        super().add_reader(fd, self._counted(callback), *args)

    def _counted(self, callback: Callable[[*Ts], object]) -> Callable[[*Ts], object]:
        def counted(*args: *Ts) -> None:
            if self.step == self.act_at:
                self.act()
            self.step += 1
            callback(*args)

        return counted


class AsyncioCtx(RecordingCtx):
    """optio's ctx as a worker has it: the flag and the coroutines are asyncio's."""

    def __init__(self) -> None:
        super().__init__()
        self.cancellation_flag = asyncio.Event()  # type: ignore[assignment]

    async def request_browser_open(self, url: str) -> None:
        await asyncio.sleep(0)
        self._record("browser", url)

    async def need_attention(self, reason: str) -> None:
        await asyncio.sleep(0)
        self._record("attention", reason)


@dataclass
class World:
    """What one session runs with, and what became of it."""

    host: Any
    ctx: AsyncioCtx = field(default_factory=AsyncioCtx)
    sent: list[str] = field(default_factory=list)
    begun: Counter[str] = field(default_factory=Counter)
    """How often each piece of user code was begun."""
    running: Counter[str] = field(default_factory=Counter)
    """Which of it has not ended."""
    ends: list[SessionOutcome] = field(default_factory=list)
    """What the observer was told as the session's end."""
    calls_at_return: int = 0
    """How many calls the ctx had got when `run_log_protocol_session` returned or raised."""
    running_at_return: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def user_code(self, name: str) -> Iterator[None]:
        """The block is user code of this name."""
        self.begun[name] += 1
        self.running[name] += 1
        try:
            yield
        finally:
            self.running[name] -= 1

    def noting(self, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """`function` as user code, called by its own name."""

        @wraps(function)
        async def noted(*args: Any) -> Any:
            with self.user_code(function.__name__):
                return await function(*args)

        return noted

    async def run(self, arguments: dict[str, Any]) -> SessionOutcome:
        """Run the session."""
        try:
            return await run_log_protocol_session(
                self.host, self.ctx, options=SessionOptions(on_event=self._observe), **arguments
            )
        finally:
            self.calls_at_return = len(self.ctx.calls)
            self.running_at_return = dict(+self.running)

    @property
    def end(self) -> SessionOutcome | None:
        """The one outcome; `None` if the session never began."""
        assert len(self.ends) <= 1, f"{len(self.ends)} outcomes"
        return self.ends[0] if self.ends else None

    def _observe(self, event: SessionEvent) -> None:
        if isinstance(event, Ended):
            self.ends.append(event.outcome)


Act = Callable[[World, asyncio.Task[Any]], object]


@dataclass(frozen=True)
class Way:
    """How a session is disturbed: by one act after another, a step of the loop apart."""

    name: str
    acts: Sequence[Act]

    def __str__(self) -> str:
        return self.name


def by_caller(world: World, task: asyncio.Task[Any]) -> None:
    """The caller cancels."""
    task.cancel()


def by_optio(world: World, task: asyncio.Task[Any]) -> None:
    """The engine sets the ctx's flag."""
    world.ctx.cancellation_flag.set()


CALLER = Way("the caller", [by_caller])
CALLER_TWICE = Way("the caller, twice", [by_caller, by_caller])
OPTIO = Way("optio", [by_optio])
OPTIO_THEN_CALLER = Way("optio, then the caller", [by_optio, by_caller])
WAYS = (CALLER, CALLER_TWICE, OPTIO, OPTIO_THEN_CALLER)


@dataclass(frozen=True)
class Trial:
    """One disturbed session."""

    world: World
    way: Way
    acted: tuple[Act, ...]
    """What of `way` there was an occasion for: nothing, if the session had fewer steps."""
    begun_before: frozenset[str]
    """The user code that was begun before that."""
    outcome: Outcome[SessionOutcome]
    """What its caller got."""
    left: frozenset[asyncio.Task[Any]]
    """Tasks that were there after it and not before."""
    steps: int
    """How many steps the loop took until the session's caller was woken."""
    calls_at_last: int
    """How many calls the ctx had got some turns of the loop after the session's end."""

    @property
    def fired(self) -> bool:
        """Whether the session was still running at that step."""
        return bool(self.acted)

    @property
    def was_cancelled(self) -> bool:
        """Whether the caller has cancelled."""
        return by_caller in self.acted


async def disturbed(world: World, arguments: dict[str, Any], way: Way, step: int) -> Trial:
    """Run a session in the running `EveryStepLoop`, and disturb it just before the loop's `step`-th step from here."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, EveryStepLoop)
    before = asyncio.all_tasks()
    acted: list[Act] = []
    begun: set[str] = set()
    task = asyncio.ensure_future(world.run(arguments))

    def act() -> None:
        if task.done():
            return
        if not acted:
            begun.update(world.begun)
        acted.append(way.acts[len(acted)])
        acted[-1](world, task)
        loop.act_at = loop.step + 1 if len(acted) < len(way.acts) else None

    loop.act, loop.step, loop.act_at = act, 0, step
    await asyncio.wait([task], timeout=HANG)
    steps = loop.step
    loop.act, loop.act_at = lambda: None, None  # the loop would keep the task, and all that hangs on it
    assert task.done(), f"still running after {HANG:g} s, user code: {dict(+world.running)}"
    for _ in range(AFTERMATH):
        await asyncio.sleep(0)
    return Trial(
        world,
        way,
        acted=tuple(acted),
        begun_before=frozenset(begun),
        outcome=_outcome(task),
        left=frozenset(asyncio.all_tasks() - before),
        steps=steps,
        calls_at_last=len(world.ctx.calls),
    )


def _outcome(task: asyncio.Task[SessionOutcome]) -> Outcome[SessionOutcome]:
    if task.cancelled():
        return Error(asyncio.CancelledError())
    failure = task.exception()
    return Value(task.result()) if failure is None else Error(failure)
