"""The visible state of a conversation, for tasks that wait for a state or follow all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from trio_util import AsyncValue

from optio_agents.conversation.values import ConversationState


class ObservedState:
    """A `ConversationState` that its conversation sets and for which any task may wait."""

    def __init__(self) -> None:
        self._value: Any = AsyncValue(ConversationState.STARTING)

    @property
    def now(self) -> ConversationState:
        """The state."""
        state: ConversationState = self._value.value
        return state

    def show(self, state: ConversationState) -> None:
        """Set the state, and wake the tasks that wait for it, even if it changes again before they run."""
        if self._value.value is not state:
            self._value.value = state

    async def wait(self, *states: ConversationState) -> ConversationState:
        """Wait until it is one of `states`; returns which."""
        state: ConversationState = await self._value.wait_value(lambda value: value in states)
        return state

    async def wait_not(self, state: ConversationState | None) -> ConversationState:
        """Wait until the state differs from `state`; return it."""
        other: ConversationState = await self._value.wait_value(lambda value: value is not state)
        return other

    def follow(self) -> AsyncIterator[ConversationState]:
        """The state now, and then after each change, up to CLOSED. A state that was very short may be skipped."""
        return _Following(self)


class _Following(AsyncIterator[ConversationState]):
    """An iterator and no generator, so that leaving the loop early needs no cleanup."""

    def __init__(self, observed: ObservedState) -> None:
        self._observed = observed
        self._last: ConversationState | None = None

    def __aiter__(self) -> _Following:
        return self

    async def __anext__(self) -> ConversationState:
        if self._last is ConversationState.CLOSED:
            raise StopAsyncIteration
        self._last = await self._observed.wait_not(self._last)
        return self._last
