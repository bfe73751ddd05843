"""CALLER_MESSAGE: what the agent says to the caller's own callback, in order, answered where it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from outcome import Error, Outcome, Value

import actors
from optio_agents.bridge.border import Border
from optio_agents.context import HookContext
from optio_agents.session.journal import Journal
from optio_agents.session.outbox import Outbox


class Callers:
    """Calls `on_caller_message(hook_ctx, keyword, data)`; a non-blank string it returns goes to the agent."""

    def __init__(
        self,
        border: Border,
        hook_context: HookContext,
        journal: Journal,
        callback: Any,
        sender: actors.Ref[str],
        grace: float,
    ) -> None:
        self._border = border
        self._hook_context = hook_context
        self._journal = journal
        self._callback = callback
        self._sender = sender
        self._grace = grace

    async def handle(self, messages: list[tuple[str, object]], settle: Callable[[], None]) -> None:
        """Hand over each message; a callback that raises is reported and does not stop the next."""
        outbox = Outbox(self._sender, self._journal)

        def heard(index: int, outcome: Outcome[Any]) -> None:
            if isinstance(outcome, Value):
                if isinstance(outcome.value, str) and outcome.value.strip():
                    outbox.put(outcome.value)
            elif isinstance(outcome, Error):
                self._journal.problem(f"on_caller_message failed for {messages[index][0]}: {outcome.error!r}")
            settle()

        await self._border.call_each(
            self._callback,
            [(self._hook_context, keyword, data) for keyword, data in messages],
            label="on_caller_message",
            on_result=heard,
            grace=self._grace,
        )
        await outbox.flush()
