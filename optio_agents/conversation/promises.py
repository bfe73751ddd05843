"""Results of a conversation's work that callers can wait for."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

from optio_agents.conversation.attachments import NO_EXTRAS, Extras
from optio_agents.conversation.values import InterruptReceipt, SendEnd

T = TypeVar("T")


class Promise(Generic[T]):
    """A value that is set later, for any number of waiters. The first value counts; later ones are ignored."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._settled = trio.Event()

    @property
    def settled(self) -> bool:
        """Whether the value is set."""
        return self._settled.is_set()

    @property
    def value(self) -> T | None:
        """The value; `None` until it is set."""
        return self._value

    def settle(self, value: T) -> None:
        """Set the value."""
        if not self._settled.is_set():
            self._value = value
            self._settled.set()

    async def wait(self) -> T:
        """Wait for the value."""
        await self._settled.wait()
        return self._value  # type: ignore[return-value]  # settled, so it is a T (which may be None)


class Sent:
    """A sent message: it ends exactly once, in one of the ways of `Fate`."""

    def __init__(self, number: int, text: str, extras: Extras = NO_EXTRAS) -> None:
        self.number = number
        self.text = text
        self.extras = extras
        self._promise: Promise[SendEnd] = Promise()

    @property
    def end(self) -> SendEnd | None:
        """How it ended; `None` while it has not."""
        return self._promise.value

    async def wait(self) -> SendEnd:
        """Wait for its end. Does not raise when the conversation ends: that is an end, too."""
        return await self._promise.wait()

    def settle(self, end: SendEnd) -> None:
        """For the conversation only."""
        self._promise.settle(end)

    def __repr__(self) -> str:
        return f"<Sent {self.number} {self.text[:40]!r} {'waiting' if self.end is None else self.end.fate.value}>"


class PendingInterrupt:
    """An interrupt that waits for its receipt; `None` when the conversation ended first."""

    def __init__(self, number: int, seconds: float) -> None:
        self.number = number
        self.seconds = seconds
        self.receipt: Promise[InterruptReceipt | None] = Promise()
