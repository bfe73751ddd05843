"""The resolver: the actor that receives every fact about a session in one order and acts on the verdict."""

from __future__ import annotations

from collections.abc import Callable

import trio

import actors
from optio_agents.session.verdict import CancelAsked, Fact, Judge, LogEnded, Phase

SLOWEST_LINK = 16 * 1024
"""Bytes per second. Each byte that arrives while a session drains extends its deadline by the time that such a link
needs for it. A slower link counts as stalled, so that a host cannot delay the end forever."""


class Resolver:
    """Passes facts to the judge and acts on the judge's state. One per session.

    It never waits, so it is an actor without a task: a fact is judged before the `tell` of its sender returns, and no
    turn of the loop passes between a fact and its consequence.

    Args:
        judge: makes the decision.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self.decided = trio.Event()
        """There is a verdict."""
        self.stage = trio.CancelScope()
        """Setup and run: cancelled if the verdict requires no drain."""
        self.draining = trio.CancelScope()
        """The drain: cancelled when optio requests the end."""
        self.finish_log: Callable[[], None] | None = None
        """Requests that the log is read to its end; then the parser reports `LogEnded`. `None` without a log."""

    def received(self, size: int) -> None:
        """More bytes of an announced file have arrived: extend the drain, which allows a slow but steady link."""
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
            self.draining.cancel(reason="optio requested the end")


def resolve(me: actors.InlineMe[Fact], resolver: Resolver) -> Callable[[Fact], None]:
    """The actor around `Resolver`."""
    return resolver.hear
