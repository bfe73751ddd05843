"""The questions that an actor has received and has not answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from actors.reply import Reply


class Asks(dict[Reply[Any], Any]):
    """The message of each open reply, so that its asker gets an error when the message is lost.

    It is a dict instead of holding one, which saves each actor an object.
    """

    __slots__ = ()

    def add(self, reply: Reply[Any], message: Any) -> None:
        """Note that an asker waits for `reply`, which is in `message`."""
        self[reply] = message

    def remove(self, reply: Reply[Any]) -> None:
        """Note that its asker no longer waits, or never began to."""
        self.pop(reply, None)

    def fail_all(self, why: Callable[[], Exception]) -> None:
        """Fail all asks. Each asker gets an exception of its own, because exceptions collect tracebacks."""
        for reply in self:
            reply.fail(why())

    def fail_those_in(self, messages: Iterable[Any], why: Callable[[], Exception]) -> None:
        """Fail the asks of these messages."""
        lost = {id(message) for message in messages}
        for reply, message in self.items():
            if id(message) in lost:
                reply.fail(why())

    def fail_those_not_in(self, messages: Iterable[Any], why: Callable[[], Exception]) -> None:
        """Fail all asks except those of these messages."""
        safe = {id(message) for message in messages}
        for reply, message in self.items():
            if id(message) not in safe:
                reply.fail(why())
