"""Small actors that many tests of the runtime use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import trio

import actors


@dataclass(frozen=True)
class Question:
    text: str
    reply: actors.Reply[str]


class Boom(Exception):  # noqa: N818
    """The exception of the samples for a message that makes them fail."""


async def keep(me: actors.Me[Any], log: list[Any]) -> None:
    """Log each message; `boom` fails, `hang` blocks for ever, a question is echoed, `quit` returns."""
    async for message in me:
        if message == "boom":
            raise Boom("told to")
        if message == "quit":
            return
        log.append(message)
        if message == "hang":
            await trio.sleep_forever()
        if isinstance(message, Question):
            message.reply.set(message.text)


async def serve(me: actors.Me[Any], log: list[Any]) -> None:
    """Like `keep`, with `Me.serve`, so that an interrupt leaves the function alone."""
    log.append("begun")

    async def handle(message: Any) -> None:
        log.append(message)
        if message == "hang":
            await trio.sleep_forever()

    await me.serve(handle)


async def gated(me: actors.Me[Any], gate: trio.Event, log: list[Any]) -> None:
    """Is ready at once, but reads its mailbox only when the gate is open."""
    me.ready()
    await gate.wait()
    async for message in me:
        log.append(message)


def asking(text: str) -> Any:
    """The maker of a `Question`, for `ask`."""

    def make(reply: actors.Reply[str]) -> Question:
        return Question(text, reply)

    return make


async def named(me: actors.Me[str], log: list[str]) -> None:
    """Say when it begins and ends; `boom` fails."""
    log.append(f"{me.name}+")
    try:
        async for message in me:
            if message == "boom":
                raise Boom(me.name)
            log.append(f"{me.name}:{message}")
    finally:
        log.append(f"{me.name}-")
