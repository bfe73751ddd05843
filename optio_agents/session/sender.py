"""The sender: the only actor that puts the session's messages on the agent's input channel, in order."""

from __future__ import annotations

from collections.abc import Callable

import trio
from outcome import Error, Outcome, Value

import actors
from optio_agents.bridge.boundary import Boundary
from optio_agents.context import HookContext
from optio_agents.session.recorder import Recorder
from optio_agents.session.verdict import Trouble

NO_CHANNEL = "There is no channel to the agent: replies to it are only kept in the outcome"


class Sender:
    """Sends through `HookContext.send_to_agent`, so that a sender set later by the body counts.

    A stuck channel delays replies and, once the mailbox is full, the queues that reply, but never the log.
    """

    def __init__(
        self, boundary: Boundary, hook_context: HookContext, recorder: Recorder, grace: float
    ) -> None:
        self._boundary = boundary
        self._hook_context = hook_context
        self._recorder = recorder
        self._grace = grace
        self._said_no_channel = False

    async def send(self, messages: list[str]) -> None:
        """Send each message; record those that cannot be delivered."""
        if self._hook_context._agent_sender is None:
            if not self._said_no_channel:
                self._said_no_channel = True
                self._recorder.progress(None, NO_CHANNEL)
            for message in messages:
                self._recorder.sent(message, False)
            return

        def record(index: int, outcome: Outcome[bool]) -> None:
            delivered = isinstance(outcome, Value) and outcome.value
            if isinstance(outcome, Error):
                text = f"send_to_agent failed: {outcome.error!r}"
                self._recorder.problem(text, actor="sender", error=outcome.error)
            elif not delivered:
                self._recorder.keep(f"The agent did not get: {messages[index]}", actor="sender")
            self._recorder.sent(messages[index], delivered)

        await self._boundary.call_each(
            self._hook_context.send_to_agent,
            [(message,) for message in messages],
            label="agent_sender",
            on_result=record,
            grace=self._grace,
        )


async def send(me: actors.Me[str], sender: Sender, tell: Callable[[Trouble], None]) -> None:
    """The actor around `Sender`.

    Args:
        tell: sends a fact to the resolver: `SystemExit` or `KeyboardInterrupt` that the caller's sender raised.
    """
    try:
        while True:
            await sender.send(await me.receive_batch(64))
    except (Exception, trio.Cancelled):
        raise
    except BaseException as error:  # noqa: BLE001 - passed on to the one place that decides
        tell(Trouble(error))
