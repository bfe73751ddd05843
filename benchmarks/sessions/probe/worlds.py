"""The two worlds in which a session can be awaited, as far as the measurements need them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Main = Callable[[], Awaitable[Any]]


class AsyncioWorld:
    """As optio's worker runs a session: asyncio, optio-host's `LocalHost`, asyncio callbacks."""

    event = asyncio.Event
    sleep = staticmethod(asyncio.sleep)

    def run(self, main: Main) -> Any:
        """Run a program."""

        async def awaited() -> Any:
            return await main()

        return asyncio.run(awaited())

    def host(self, directory: str) -> Any:
        """A host whose task directory is `directory`."""
        from optio_host import LocalHost

        return LocalHost(directory)

    async def forever(self) -> None:
        """Wait until cancelled."""
        await asyncio.get_running_loop().create_future()

    async def all(self, mains: list[Main]) -> None:
        """Run all at once, to the end of each."""
        await asyncio.gather(*(main() for main in mains))

    async def run_and_cancel(self, main: Main, when: Callable[[], Awaitable[None]]) -> None:
        """Run `main`; once `when` has returned, cancel it; wait for its end."""
        task = asyncio.ensure_future(main())
        await when()
        task.cancel()
        await asyncio.wait([task])

    async def beside(self, main: Main, others: list[Main]) -> Any:
        """Run `main` to its end while `others` run, then cancel those."""
        tasks = [asyncio.ensure_future(other()) for other in others]
        try:
            return await main()
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)


class TrioWorld:
    """As a Trio program runs one: our own `LocalHost`, Trio callbacks."""

    def __init__(self) -> None:
        import trio

        self._trio = trio
        self.event = trio.Event
        self.sleep = trio.sleep

    def run(self, main: Main) -> Any:
        """Run a program."""
        return self._trio.run(main)

    def host(self, directory: str) -> Any:
        """A host whose task directory is `directory`."""
        from optio_agents.hosts.local import LocalHost

        return LocalHost(directory)

    async def forever(self) -> None:
        """Wait until cancelled."""
        await self._trio.sleep_forever()

    async def all(self, mains: list[Main]) -> None:
        """Run all at once, to the end of each."""
        async with self._trio.open_nursery() as nursery:
            for main in mains:
                nursery.start_soon(main)

    async def run_and_cancel(self, main: Main, when: Callable[[], Awaitable[None]]) -> None:
        """Run `main`; once `when` has returned, cancel it; wait for its end."""
        async with self._trio.open_nursery() as nursery:
            nursery.start_soon(main)
            await when()
            nursery.cancel_scope.cancel()

    async def beside(self, main: Main, others: list[Main]) -> Any:
        """Run `main` to its end while `others` run, then cancel those."""
        async with self._trio.open_nursery() as nursery:
            for other in others:
                nursery.start_soon(other)
            result = await main()
            nursery.cancel_scope.cancel()
        return result


World = AsyncioWorld | TrioWorld


def open_world(name: str) -> World:
    """The world called `asyncio` or `trio`."""
    return TrioWorld() if name == "trio" else AsyncioWorld()
