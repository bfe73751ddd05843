"""The topology: a session's actors, how they are linked, and the order in which they end."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Never

import actors
from optio_agents.protocol.coalescing import ProgressCoalescer
from optio_agents.protocol.scanner import Scanner
from optio_agents.session.body import run_body
from optio_agents.session.callers import Callers
from optio_agents.session.context_calls import ContextCalls
from optio_agents.session.cursor import Cursor
from optio_agents.session.fetcher import Fetcher
from optio_agents.session.log_order import LogOrder
from optio_agents.session.optio_context import METHODS, is_cancelled
from optio_agents.session.parser import Parser, WorkQueues, ends_session, parse
from optio_agents.session.plan import Plan
from optio_agents.session.reading import Reading
from optio_agents.session.sender import Sender, send
from optio_agents.session.tailer import READER_RESTARTS, tail
from optio_agents.session.verdict import CancelAsked, Fact
from optio_agents.session.work_queue import WorkQueue, run_worker

DELIVERABLE_QUEUE_BOUND = 64
"""The largest number of announced deliverables that the fetcher processes at once."""

CALLER_MESSAGE_QUEUE_BOUND = 64
"""Only kept as a published name. Here, waiting messages are bounded in bytes."""

MESSAGE_BATCH = 256
"""Caller messages that cross the boundary at once, up to the next whole block: one crossing costs as much as ten
calls."""


class Topology:
    """Starts the actors of one session and ends them in order.

    ```
     optio.log ─bytes→ tailer ─windows→ parser ─facts→ resolver ─→ the outcome
                                           ├→ fetcher  ─→ on_deliverable ─→ sender ─→ the agent
                                           ├→ callers  ─→ on_caller_message ─┘
                                           ├→ attention, browser, client_message ─→ ctx
                                           └→ progress (a plain call) ─→ ctx
    ```

    Each name is an actor. The parser and the resolver never wait and have no task.

    Args:
        plan: what the session runs with.
        supervisor: owns the actors.
        tell: sends a fact to the resolver; never waits.
        received: called with the number of bytes of an announced file that arrived.
    """

    def __init__(
        self,
        plan: Plan,
        supervisor: actors.Supervisor,
        tell: Callable[[Fact], None],
        received: Callable[[int], None],
    ) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._tell = tell
        self._received = received
        self.cursor = Cursor()
        self._deliverables: WorkQueue[str] = WorkQueue()
        self._callers: WorkQueue[tuple[str, list[str]]] = WorkQueue()
        self._context_calls: dict[str, WorkQueue[list[Any]]] = {keyword: WorkQueue() for keyword in METHODS}
        self._order = LogOrder()
        self._queues: tuple[WorkQueue[Any], ...] = (
            self._deliverables,
            self._callers,
            *self._context_calls.values(),
        )
        self._sender: actors.Ref[str] | None = None
        self._tailer: actors.Ref[Never] | None = None
        self._parser: actors.Ref[Reading] | None = None
        self._body: actors.Ref[Any] | None = None

    async def start(self) -> None:
        """Start the actors, receivers before senders, the body last.

        Checks for cancellation again before launching the agent: the watch actor may not have been scheduled yet.
        """
        plan = self._plan
        if plan.keywords:
            await self._start_reading()
        if is_cancelled(plan.ctx):
            self._tell(CancelAsked())
            return
        self._body = self._supervisor.start_soon(
            actors.actor(
                run_body,
                plan.boundary,
                plan.hooks.body,
                (plan.host, plan.hook_context),
                self._tell,
                plan.options.cancel_grace,
            ),
            name="body",
            restart=actors.TRANSIENT,
        )

    @property
    def unsettled(self) -> int:
        """Announcements that are not settled, and messages that the agent has not received."""
        return sum(queue.unsettled for queue in self._queues) + self._plan.recorder.unsaid

    def stop_reading(self) -> None:
        """Ignore the rest of the log."""
        if self._tailer is not None:
            self._tailer.cancel("the outcome is decided")

    @property
    def is_working(self) -> bool:
        """Whether an actor may still have work."""
        return self._sender is not None or any(queue.ref is not None for queue in self._queues)

    async def drain(self, on_settled: Callable[[], None]) -> None:
        """Let the queues finish, and then the sender. The caller limits the time.

        Args:
            on_settled: called whenever a queue has dealt with an item, or the sender with a message.
        """
        for queue in self._queues:
            queue.on_settled = on_settled
        self._plan.recorder.on_sent = on_settled
        manned = [queue.ref for queue in self._queues if queue.ref is not None]
        for ref in manned:
            ref.stop("the outcome is decided")
        for ref in manned:
            await ref.wait()
        if self._sender is not None:
            self._sender.stop("the outcome is decided")
            await self._sender.wait()

    def end(self) -> None:
        """Cancel all remaining actors at once; the supervisor waits for their ends, bounded by the grace of each call.

        Cancelled, not stopped: a stop would wait for a body that goes on working.
        """
        ours = (self._tailer, self._parser, *(queue.ref for queue in self._queues), self._sender, self._body)
        for ref in ours:
            if ref is not None:
                ref.cancel("the session ends")

    def _start_worker_of(self, queue: WorkQueue[Any]) -> None:
        """Start the actor of a queue that has got its first item."""
        plan = self._plan
        grace = plan.options.cancel_grace
        if queue is self._deliverables:
            fetcher = Fetcher(
                plan.boundary,
                plan.session_host,
                plan.hook_context,
                plan.recorder,
                self._channel(),
                plan.options,
                on_received=self._received,
                on_text=plan.hooks.on_deliverable,
                on_file=plan.hooks.on_deliverable_file,
            )
            self._start_worker("fetcher", queue, fetcher.handle, DELIVERABLE_QUEUE_BOUND)
        elif queue is self._callers:
            callback, channel = plan.hooks.on_caller_message, self._channel()
            callers = Callers(plan.boundary, plan.hook_context, plan.recorder, callback, channel, grace)
            self._start_worker("callers", queue, callers.handle, MESSAGE_BATCH)
        else:
            keyword = next(name for name, each in self._context_calls.items() if each is queue)
            calls = ContextCalls(
                keyword,
                plan.boundary,
                plan.ctx,
                plan.recorder,
                self._order,
                rewrite=plan.hooks.browser_url_rewrite,
                grace=grace,
            )
            self._start_worker(keyword.lower(), queue, calls.handle, 1)

    def _channel(self) -> actors.Ref[str]:
        """The sender, started with the first message."""
        if self._sender is None:
            plan = self._plan
            sender = Sender(plan.boundary, plan.hook_context, plan.recorder, plan.options.cancel_grace)
            self._sender = self._supervisor.start_soon(
                actors.actor(send, sender, self._tell),
                name="sender",
                capacity=64,
                restart=actors.TRANSIENT,
                stop_timeout=math.inf,
            )
        return self._sender

    def _start_worker(self, name: str, queue: WorkQueue[Any], handle: Any, batch: int) -> None:
        queue.attach_worker(
            self._supervisor.start_soon(
                actors.actor(run_worker, queue, handle, self._tell, batch=batch),
                name=name,
                capacity=1,
                restart=actors.TRANSIENT,
                stop_timeout=math.inf,  # the caller of `drain` limits it and knows what still arrives
            )
        )

    async def _start_reading(self) -> None:
        plan = self._plan
        every = plan.options.progress == "every"
        queues = WorkQueues(
            deliverables=self._deliverables,
            callers=self._callers,
            context_calls=self._context_calls,
            order=self._order,
            start_worker=self._start_worker_of,
            hint=self._hint,
        )
        parser = Parser(
            Scanner(plan.protocol.features, every=every),
            plan.protocol.features,
            ProgressCoalescer(every=every),
            queues,
            plan.recorder,
            plan.session_host.workdir,
            self.cursor,
            self._tell,
            every=every,
        )
        self._parser = await self._supervisor.start(
            actors.inline(parse, parser), name="parser", restart=actors.TRANSIENT
        )
        self._tailer = await self._supervisor.start(
            actors.actor(
                tail,
                plan.session_host,
                self.cursor,
                self._parser,
                partial(ends_session, plan.protocol.features),
                queues.room,
                plan.options.host_timeout,
            ),
            name="tailer",
            restart=actors.TRANSIENT,
            intensity=READER_RESTARTS,
        )

    def _hint(self, text: str) -> bool:
        """Send the agent a message if that is possible at once; return whether it was."""
        channel = self._channel()
        try:
            channel.try_tell(text)
        except actors.MailboxFull:
            return False
        self._plan.recorder.unsaid += 1
        return True
