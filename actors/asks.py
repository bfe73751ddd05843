"""The questions that an actor has been asked and has not answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from actors.reply import Reply


class Asks:
    """Which message each waiting asker's reply went out with, so that the asker can be told when it is lost."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[Reply[Any], Any] = {}

    def add(self, reply: Reply[Any], message: Any) -> None:
        """An asker waits for this reply, which is in that message."""
        self._open[reply] = message

    def remove(self, reply: Reply[Any]) -> None:
        """Its asker no longer waits, or never began to."""
        self._open.pop(reply, None)

    def fail_all(self, why: Callable[[], Exception]) -> None:
        """The actor is over. (Each asker gets an exception of its own: exceptions collect tracebacks.)"""
        for reply in self._open:
            reply.fail(why())

    def fail_those_in(self, messages: Iterable[Any], why: Callable[[], Exception]) -> None:
        """These messages will not be answered."""
        lost = {id(message) for message in messages}
        for reply, message in self._open.items():
            if id(message) in lost:
                reply.fail(why())

    def fail_those_not_in(self, messages: Iterable[Any], why: Callable[[], Exception]) -> None:
        """Only these messages may still be answered."""
        safe = {id(message) for message in messages}
        for reply, message in self._open.items():
            if id(message) not in safe:
                reply.fail(why())

    def __len__(self) -> int:
        return len(self._open)
