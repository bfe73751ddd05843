"""Doubles for one actor of a session: the far end of a channel, and a parser with everything that it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import trio

import actors
from optio_agents import HookContext, get_protocol
from optio_agents.bridge import TrioBoundary
from optio_agents.hosts.base import LogPosition, Window
from optio_agents.protocol.coalescing import ProgressCoalescer
from optio_agents.protocol.protocol import Protocol
from optio_agents.protocol.scanner import Scanner
from optio_agents.session.callbacks import SessionCallbacks
from optio_agents.session.cursor import Cursor
from optio_agents.session.events import SessionEvent
from optio_agents.session.log_order import LogOrder
from optio_agents.session.optio_context import METHODS
from optio_agents.session.options import SessionOptions
from optio_agents.session.parser import Parser, WorkQueues
from optio_agents.session.plan import Plan
from optio_agents.session.recorder import Recorder
from optio_agents.session.verdict import Fact
from optio_agents.session.work_queue import WorkQueue
from tests.support.session import MemoryHost, RecordingCtx

EVERYTHING = get_protocol(browser="redirect", client_messages=True, caller_messages=True)


class FarEnd:
    """What `Ref.tell` and `Ref.try_tell` put their messages into: `capacity` of them at once."""

    def __init__(self, capacity: float = float("inf")) -> None:
        self.told: list[Any] = []
        self.waiting = 0
        self.capacity = capacity
        self.is_stopped = False
        self.exit: object = None
        self._room = trio.Event()

    def try_tell(self, message: Any) -> None:
        if self.is_stopped:
            raise actors.ActorStopped("far end")
        if self.waiting >= self.capacity:
            raise actors.MailboxFull("far end", int(self.capacity))
        self.waiting += 1
        self.told.append(message)

    async def tell(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        while not self.is_stopped and self.waiting >= self.capacity:
            await self._room.wait()
        self.try_tell(message)

    def change(self, *, stopped: bool = False) -> None:
        """Everything in the mailbox was taken, or the actor has stopped."""
        self.waiting, self.is_stopped = 0, stopped
        self._room.set()
        self._room = trio.Event()

    @property
    def ref(self) -> actors.Ref[Any]:
        return cast("actors.Ref[Any]", self)


class ParserParts:
    """A `Parser` whose queues have no workers, and all that it changes."""

    def __init__(self, *, every: bool = False, protocol: Protocol = EVERYTHING) -> None:
        self.ctx = RecordingCtx()
        self.events: list[SessionEvent] = []
        self.facts: list[Fact] = []
        self.hints: list[str] = []
        self.has_channel_room = True
        self.started: list[WorkQueue[Any]] = []
        self.cursor = Cursor()
        self.recorder = Recorder(self.ctx, self.events.append)
        self.queues = WorkQueues(
            deliverables=WorkQueue(),
            callers=WorkQueue(),
            context_calls={keyword: WorkQueue() for keyword in METHODS},
            order=LogOrder(),
            start_worker=self.started.append,
            hint=self._hint,
        )
        self.parser = Parser(
            Scanner(protocol.features, every=every),
            protocol.features,
            ProgressCoalescer(every=every),
            self.queues,
            self.recorder,
            "/work",
            self.cursor,
            self.facts.append,
            every=every,
        )
        self.offset = 0

    def read(self, text: str, **fields: Any) -> None:
        """Hand over one window."""
        data = text.encode()
        self.offset += len(data)
        self.parser.handle(Window(data, LogPosition(self.offset), **fields))

    def _hint(self, text: str) -> bool:
        if self.has_channel_room:
            self.hints.append(text)
        return self.has_channel_room


def plan_of(
    *,
    ctx: Any = None,
    host: MemoryHost | None = None,
    options: SessionOptions | None = None,
    observe: Callable[[SessionEvent], None] | None = None,
    keywords: bool = True,
    protocol: Protocol = EVERYTHING,
    **hooks: Any,
) -> Plan:
    """A plan over a host in memory; `hooks` are the caller's callables."""
    ctx = RecordingCtx() if ctx is None else ctx
    host = MemoryHost() if host is None else host

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        await trio.sleep_forever()

    return Plan(
        boundary=TrioBoundary(),
        host=host,
        session_host=host,
        ctx=ctx,
        hook_context=HookContext(ctx, host),
        hooks=SessionCallbacks(**{"body": body, **hooks}),
        protocol=protocol,
        keywords=keywords,
        options=SessionOptions() if options is None else options,
        recorder=Recorder(ctx, observe),
    )
