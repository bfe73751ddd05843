"""CALLER_MESSAGE: passes the agent's messages to the caller's callback, in order, and its answers to the agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from outcome import Error, Outcome

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.context import HookContext
from optio_agents.protocol.payload import read_json_lines
from optio_agents.session.recorder import Recorder
from optio_agents.session.reply_queue import ReplyQueue


class Callers:
    """Calls `on_caller_message(hook_ctx, keyword, data)`; a non-blank string it returns goes to the agent."""

    def __init__(
        self,
        boundary: Boundary,
        hook_context: HookContext,
        recorder: Recorder,
        callback: Any,
        sender: actors.Ref[str],
        grace: float,
    ) -> None:
        self._boundary = boundary
        self._hook_context = hook_context
        self._recorder = recorder
        self._callback = callback
        self._sender = sender
        self._grace = grace

    async def handle(self, blocks: list[tuple[str, list[str]]], settle: Callable[[], None]) -> None:
        """Pass on each message. A callback that raises is reported and does not stop the next one.

        Args:
            blocks: texts and keywords of `CallerMessages`, decoded one block at a time.
            settle: called for each message.
        """
        outbox = ReplyQueue(self._sender, self._recorder)
        keyword = ""  # of the current message

        def calls() -> Iterator[tuple[HookContext, str, object]]:
            nonlocal keyword
            for texts, keywords in blocks:
                for keyword, data in zip(keywords, read_json_lines(texts), strict=True):
                    yield self._hook_context, keyword, data
                    settle()

        def pass_on(_: int, answer: object) -> None:
            if isinstance(answer, str) and answer.strip():
                outbox.put(answer.strip())

        def report(_: int, outcome: Outcome[object]) -> None:
            if isinstance(outcome, Error):
                text = f"on_caller_message failed for {keyword}: {outcome.error!r}"
                self._recorder.problem(text, actor="callers", error=outcome.error)

        await self._boundary.call_each(
            self._callback,
            calls(),
            label="on_caller_message",
            on_answer=pass_on,
            on_result=report,
            grace=self._grace,
        )
        await outbox.flush()
