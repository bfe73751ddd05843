"""An actor without a task, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import actors
from tests.support.sample_actors import Boom


@dataclass(frozen=True)
class Total(actors.Question[int]):
    """How much is it by now?"""


def adder(me: actors.InlineMe[Any], log: list[Any]) -> Callable[[Any], None]:
    """Adds numbers. `boom` fails, a question is answered, a list is sent on to itself, a function is called."""
    total = 0
    log.append("set up")

    def handle(message: Any) -> None:
        nonlocal total
        if isinstance(message, Total):
            message.reply.set(total)
        elif message == "boom":
            raise Boom("told to")
        elif isinstance(message, list):
            for each in message:
                me.ref.try_tell(each)
            log.append(f"sent {message}")
        elif callable(message):
            message()
        else:
            total += message
            log.append(message)

    return handle


async def start(supervisor: actors.Supervisor, log: list[Any], **options: Any) -> actors.Ref[Any]:
    return await supervisor.start(actors.inline(adder, log), name="adder", **options)
