"""The calls of an owner's functions that are open: how many, for how long, and when they end with their turn."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import trio

from optio_agents.bridge.boundary import Boundary
from optio_agents.conversation.client import AgentConversation
from optio_agents.conversation.options import ConversationOptions
from optio_agents.conversation.subscribers import Subscription
from optio_agents.conversation.tools.functions import ToolFunction, result_text
from optio_agents.conversation.values import TurnResult, TurnStatus

logger = logging.getLogger(__name__)

OPEN_LIMIT = 64
"""How many calls may be open. The next ones fail at once, and the model reads why."""

ERROR_LIMIT = 4000
"""How many characters of an exception's text the model reads."""

TURN_ENDED = "The call was cancelled because its turn has ended."


class CallResult(NamedTuple):
    """What the model reads of a call."""

    text: str
    is_error: bool = False


class ToolCalls:
    """Calls the functions in their owner's world. A call ends with the turn in which it began.

    It ends once the turn is over, not when the turn is interrupted: opencode takes an end of the tool before it has
    read the interrupt for the end of the turn. When a turn has completed and work goes on in the background (a
    subagent), a call may be that work's, and goes on.
    """

    def __init__(
        self, functions: Mapping[str, ToolFunction], boundary: Boundary, options: ConversationOptions
    ) -> None:
        self.functions = functions
        self._boundary = boundary
        self._options = options
        self._open: dict[trio.CancelScope, int | None] = {}
        self._conversation: AgentConversation | None = None

    async def call(self, name: str, given: Mapping[str, Any]) -> CallResult:
        """Call a function with the arguments that a model gives. Any error becomes the result."""
        function = self.functions.get(name)
        if function is None:
            return CallResult(f"there is no tool {name!r}; the tools are {sorted(self.functions)}", True)
        try:
            arguments = function.arguments(given)
        except ValueError as error:
            return CallResult(str(error)[:ERROR_LIMIT], True)
        if len(self._open) >= OPEN_LIMIT:
            return CallResult(f"{OPEN_LIMIT} calls are open already; wait for one of them to end", True)
        return await self._bounded(function, arguments)

    async def _bounded(self, function: ToolFunction, arguments: dict[str, Any]) -> CallResult:
        seconds = self._options.tool_seconds
        with trio.CancelScope() as with_turn:
            self._open[with_turn] = self._turn
            try:
                with trio.move_on_after(seconds):
                    return await self._run(function, arguments)
                return CallResult(f"{function.name} took longer than {seconds:g} s and was cancelled", True)
            finally:
                del self._open[with_turn]
        return CallResult(TURN_ENDED, True)

    async def _run(self, function: ToolFunction, arguments: dict[str, Any]) -> CallResult:
        async def call() -> object:
            return await function.function(**arguments)

        try:
            value = await self._boundary.call(call, label=f"tool {function.name}")
            return CallResult(result_text(value, self._options.tool_result_characters))
        except Exception as error:  # the model reads it, and so does the log
            logger.warning("the tool %s failed", function.name, exc_info=True)
            return CallResult(f"{type(error).__name__}: {error}"[:ERROR_LIMIT], True)

    @property
    def _turn(self) -> int | None:
        return None if self._conversation is None else self._conversation.core.turn_state.turn

    async def follow(self, conversation: AgentConversation, results: Subscription[TurnResult]) -> None:
        """End calls with their turns, until the conversation ends."""
        self._conversation = conversation
        with results:
            async for result in results:
                if result.status is not TurnStatus.COMPLETED or not result.background:
                    self._end(result.turn)

    def _end(self, turn: int | None) -> None:
        for scope, begun_in in list(self._open.items()):
            if begun_in == turn:
                scope.cancel(reason="its turn has ended")
