"""Small pieces of user code for sessions: bodies and callbacks."""

from __future__ import annotations

from typing import Any

import trio

from optio_agents import HookContext
from tests.support.session import MemoryHost


async def for_ever(*args: Any) -> None:
    await trio.sleep_forever()


async def nothing(*args: Any) -> None:
    await trio.lowlevel.checkpoint()


def writing(*lines: str) -> Any:
    """A body that writes these lines and works on."""

    async def body(host: MemoryHost, hook_ctx: HookContext) -> None:
        host.write(*lines)
        await trio.sleep_forever()

    return body


def stray_cancellation() -> trio.Cancelled:
    """A cancellation that belongs to no scope around it."""
    return trio.Cancelled._create(source="unknown")


def ignoring(release: trio.Event) -> Any:
    """User code that ignores its cancellation until it is let go (for ever would hang the test that fails)."""

    async def stubborn(*args: Any) -> None:
        with trio.CancelScope(shield=True), trio.move_on_after(10_000):
            await release.wait()

    return stubborn


class Told:
    """An input channel of an agent."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def __call__(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        self.texts.append(text)
