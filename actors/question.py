"""Messages with a type for their answer, so that a type checker knows what `ask` returns."""

from __future__ import annotations

import copy
from typing import Any, Generic, Self, TypeVar

from actors.reply import Reply

R = TypeVar("R")


class Question(Generic[R]):
    """The base of a message class that wants an answer of type `R`::

        @dataclass(frozen=True)
        class Get(actors.Question[str]):
            key: str

        answer = await ref.ask(Get("a"), timeout=5)  # a str

    The actor answers with `question.reply.set(value)`. After `tell` instead of `ask`, the question has a reply that is
    not `wanted`. The same question may be asked any number of times, also by several tasks at once.
    """

    __slots__ = ("_reply",)

    def __call__(self, reply: Reply[R]) -> Self:
        """Return this question with `reply`. Called by `Ref.ask`, for which a question makes its own message."""
        question = copy.copy(self) if hasattr(self, "_reply") else self
        object.__setattr__(question, "_reply", reply)  # it may be a frozen dataclass
        return question

    @property
    def reply(self) -> Reply[R]:
        """Takes the answer."""
        reply: Any = getattr(self, "_reply", None)
        if reply is None:
            reply = Reply()
            reply._give_up()
        answer: Reply[R] = reply
        return answer
