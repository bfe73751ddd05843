"""What callers hold while a conversation works for them."""

from __future__ import annotations

from typing import Generic, TypeVar

import trio

from optio_agents.conversation.values import InterruptReceipt, SendEnd

T = TypeVar("T")


class Promise(Generic[T]):
    """A value that comes later, for any number of waiters. Settled once; later settlements are ignored."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._settled = trio.Event()

    @property
    def settled(self) -> bool:
        """Whether the value is there."""
        return self._settled.is_set()

    @property
    def value(self) -> T | None:
        """The value, `None` before it is there."""
        return self._value

    def settle(self, value: T) -> None:
        """Give the value."""
        if not self._settled.is_set():
            self._value = value
            self._settled.set()

    async def wait(self) -> T:
        """Wait for the value."""
        await self._settled.wait()
        return self._value  # type: ignore[return-value]  # settled, so it is a T (which may be None)


class Sent:
    """Something that was sent: it ends exactly once, in one of the fates of `Fate`."""

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text
        self._promise: Promise[SendEnd] = Promise()

    @property
    def end(self) -> SendEnd | None:
        """How it ended; `None` while it has not."""
        return self._promise.value

    async def wait(self) -> SendEnd:
        """Wait for its end. Never raises because the conversation ended: that is an end too."""
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
