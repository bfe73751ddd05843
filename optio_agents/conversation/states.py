"""The visible state, for those who wait for one and those who follow it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from trio_util import AsyncValue

from optio_agents.conversation.values import ConversationState


class ObservedState:
    """A `ConversationState` that its conversation sets and anybody may wait for."""

    def __init__(self) -> None:
        self._value: Any = AsyncValue(ConversationState.STARTING)

    @property
    def now(self) -> ConversationState:
        """The state."""
        state: ConversationState = self._value.value
        return state

    def show(self, state: ConversationState) -> None:
        """It is this now; whoever waits for it is woken, also if it is over again before they look."""
        if self._value.value is not state:
            self._value.value = state

    async def wait(self, *states: ConversationState) -> ConversationState:
        """Wait until it is one of `states`; returns which."""
        state: ConversationState = await self._value.wait_value(lambda value: value in states)
        return state

    async def wait_not(self, state: ConversationState | None) -> ConversationState:
        """Wait until it is another one than `state`; returns which."""
        other: ConversationState = await self._value.wait_value(lambda value: value is not state)
        return other

    def follow(self) -> AsyncIterator[ConversationState]:
        """The state now, and then each time it has changed, up to CLOSED; one that came and went unseen is skipped."""
        return _Following(self)


class _Following(AsyncIterator[ConversationState]):
    """No generator, so that leaving the loop early leaves nothing behind."""

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
