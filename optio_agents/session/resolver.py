"""The resolver: the actor that every fact about a session is told, in one order, and what follows from each."""

from __future__ import annotations

from collections.abc import Callable

import trio

import actors
from optio_agents.session.verdict import CancelAsked, Fact, Judge, LogEnded, Phase

SLOWEST_LINK = 16 * 1024
"""Bytes per second: each byte that arrives while a session drains puts its deadline off by the time that such a link
takes for it. Slower ones count as standing still, so that a host cannot hold up the end for ever."""


class Resolver:
    """Lets the judge hear facts and acts upon where the judge stands. One per session.

    It never waits, so it is an actor without a task: a fact is judged before the `tell` of the actor that found it
    returns, and no turn of the loop passes between a fact and what follows from it.

    Args:
        judge: decides.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.decided = trio.Event()
        """There is a verdict."""
        self.stage = trio.CancelScope()
        """Set-up and run: cancelled when the verdict leaves nothing to drain."""
        self.draining = trio.CancelScope()
        """The drain: cancelled when optio asks for the end."""
        self.finish_log: Callable[[], None] | None = None
        """Has the log read to its end, after which the parser says `LogEnded`. `None` without a log."""

    def received(self, size: int) -> None:
        """More of an announced file has arrived: a drain over a slow link that is steady is not late."""
        self.draining.deadline += size / SLOWEST_LINK

    def hear(self, fact: Fact) -> None:
        """Take a fact into account."""
        judge = self._judge
        judge.hear(fact)
        if judge.phase is Phase.READING_REST:
            if self.finish_log is not None:
                self.finish_log()
            else:
                judge.hear(LogEnded())
        if judge.verdict is None:
            return
        self.decided.set()
        if not judge.verdict.drains:
            self.stage.cancel(reason=judge.verdict.message)
        if isinstance(fact, CancelAsked):
            self.draining.cancel(reason="optio asked for the end")


def resolve(me: actors.InlineMe[Fact], resolver: Resolver) -> Callable[[Fact], None]:
    """The actor around `Resolver`."""
    return resolver.hear
